// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "oci/registry/curl_library.h"
#include "oci/registry/http.h"

namespace cbuild::oci::registry {

/// What a libcurl error means. The code alone does not tell a reset from a server that does not speak TLS; `text`,
/// libcurl's own, does. Included by the sources that wrap libcurl only.
TransportFailure failure_of(CURLcode code, const std::string& text);

}  // namespace cbuild::oci::registry
