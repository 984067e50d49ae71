// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/text.h"

namespace cbuild::oci::layer {

/// Why `compression=NAME` is refused: estargz is a compression of BuildKit, but not of cbuild.
inline std::string wrong_compression(std::string_view name) {
  return name == "estargz" ? "compression estargz is not supported" : cat("unknown compression '", name, "'");
}

inline constexpr char kCompressionHint[] = "uncompressed, gzip or zstd";

}  // namespace cbuild::oci::layer
