// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/http/http.h"

/// Requests of Azure's blob storage, signed with the key of the account (Shared Key).
namespace cbuild::cache {

struct AzureAccount {
  std::string name;
  std::string key;  ///< the bytes, not their base64
};

/// Adds the headers x-ms-date, x-ms-version and Authorization. `body_size`: Content-Length, which is sent by itself.
void sign_azure(http::Request& request, std::uint64_t body_size, const AzureAccount& account, std::int64_t now_s);

/// The URL of a GET of a blob that needs no header, until `end_s` (a service SAS). `container` and `blob` as they are
/// named, not encoded.
http::Url presign_azure(http::Url url, const AzureAccount& account, const std::string& container,
                        const std::string& blob, std::int64_t end_s);

/// A time as headers have it: "Fri, 02 Jan 2026 03:04:05 GMT".
std::string azure_date(std::int64_t time_s);

}  // namespace cbuild::cache
