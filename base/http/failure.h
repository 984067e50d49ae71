// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/http/http.h"
#include "base/http/secrets.h"

namespace cbuild::http {

inline constexpr char kLimitsHint[] = "the limits can be changed with --transfer-limits or CBUILD_TRANSFER_LIMITS";

/// One line on a failed exchange: "HTTP 404 no such file", or the transport's words. `detail` is the message that the
/// caller found in the body; without one it is the body, unless that is markup, or the standard phrase of the status.
std::string explain_response(const Response& response, const Secrets& secrets, std::string_view detail = {});

}  // namespace cbuild::http
