// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/text.h"

namespace cbuild::oci {

/// Why `compression=NAME` is refused.
inline std::string wrong_compression(std::string_view name) { return cat("unknown compression '", name, "'"); }

inline constexpr char kCompressionHint[] = "uncompressed, gzip, zstd or estargz";

}  // namespace cbuild::oci
