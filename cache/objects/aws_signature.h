// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/http/http.h"

/// AWS signature version 4: the requests of S3 and of the services that give accounts.
namespace cbuild::cache {

/// An account, perhaps for a limited time.
struct AwsKeys {
  std::string id, secret;
  std::string session_token;   ///< of a temporary account; empty: none
  std::int64_t expires_s = 0;  ///< seconds since 1970; 0: never

  bool operator==(const AwsKeys&) const = default;
};

struct AwsScope {
  std::string region, service;
};

/// Adds the headers x-amz-date, x-amz-content-sha256, x-amz-security-token and Authorization. `payload`: the SHA-256 of
/// the body in hex. All headers of the request are signed, and the path as it is in the URL.
void sign_aws(http::Request& request, const std::string& payload, const AwsKeys& keys, const AwsScope& scope,
              std::int64_t now_s);

/// The URL of a GET that needs no header, for `lifetime_s` from now on.
http::Url presign_aws(http::Url url, const AwsKeys& keys, const AwsScope& scope, std::int64_t now_s,
                      std::int64_t lifetime_s);

/// A name in the path of a URL: everything but A-Z a-z 0-9 - . _ ~ / is encoded.
std::string aws_path(std::string_view name);
/// The same for a value of a query: '/' is encoded, too.
std::string aws_query_value(std::string_view value);

}  // namespace cbuild::cache
