// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "oci/registry/http.h"
#include "oci/registry/secrets.h"

namespace cbuild::oci::registry {

/// One entry of the distribution-spec's error body.
struct RegistryError {
  std::string code, message;
  bool operator==(const RegistryError&) const = default;
};

/// Reads {"errors":[...]}; empty for any other body.
std::vector<RegistryError> parse_errors(std::string_view body);
bool has_code(const HttpResponse& response, std::string_view code);

inline constexpr char kLimitsHint[] = "the limits can be changed with --transfer-limits or CBUILD_TRANSFER_LIMITS";

/// One line on what went wrong: "404 MANIFEST_UNKNOWN: manifest unknown", or the transport's words.
std::string explain(const HttpResponse& response, const Secrets& secrets);

/// Throws the Error for an answer that is no success: {not_found} for 404, {denied} for 401 and 403,
/// {network} else. `doing` is what was tried ("pull of example.com/app:1").
[[noreturn]] void throw_failure(const HttpResponse& response, std::string_view doing, const Secrets& secrets);

}  // namespace cbuild::oci::registry
