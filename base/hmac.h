// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/digest.h"

namespace cbuild {

/// HMAC-SHA-256 (RFC 2104).
Digest hmac_sha256(std::string_view key, std::string_view data);

}  // namespace cbuild
