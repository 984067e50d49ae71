// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/http/curl_library.h"
#include "base/http/http.h"

namespace cbuild::http {

/// The meaning of a libcurl error. The code alone does not tell a reset from a server that does not speak TLS; `text`,
/// libcurl's own, does. Included by the sources that wrap libcurl only.
TransportFailure failure_of(CURLcode code, const std::string& text);

}  // namespace cbuild::http
