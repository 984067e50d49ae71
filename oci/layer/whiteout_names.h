// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

/// Names that mean "deleted" in a layer (image-spec, layer.md, "Whiteouts").
namespace cbuild::oci::layer {

inline constexpr std::string_view kWhiteoutPrefix = ".wh.";      ///< of the hidden name
inline constexpr std::string_view kOpaqueName = ".wh..wh..opq";  ///< hides all of its directory
inline constexpr std::string_view kMetaPrefix = ".wh..wh.";      ///< AUFS's own files; the opaque marker is one of them

}  // namespace cbuild::oci::layer
