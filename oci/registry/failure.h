// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/http/failure.h"

namespace cbuild::oci::registry {

/// One entry of the distribution-spec's error body.
struct RegistryError {
  std::string code, message;
  bool operator==(const RegistryError&) const = default;
};

/// Reads {"errors":[...]}; empty for any other body.
std::vector<RegistryError> parse_errors(std::string_view body);
bool has_code(const http::Response& response, std::string_view code);
/// A quota that is used up (Docker Hub): such an answer comes without Retry-After and stays the same for minutes.
bool is_used_up_quota(const http::Response& response);

/// Whether the host wants a certificate from us, or another one.
bool wants_client_certificate(const http::Response& response);

/// One line about the failure: "404 MANIFEST_UNKNOWN: manifest unknown", or the transport's words.
std::string explain(const http::Response& response, const http::Secrets& secrets);

/// Throws the Error for an answer that is not a success: {not_found} for 404, {denied} for 401 and 403, {network} else.
/// `doing` names the action ("pull of example.com/app:1").
[[noreturn]] void throw_failure(const http::Response& response, std::string_view doing, const http::Secrets& secrets);

}  // namespace cbuild::oci::registry
