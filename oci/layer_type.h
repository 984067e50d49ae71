// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cbuild::oci {

/// The image-spec's media type of a layer that is named in any way that is_layer() knows: docker's names, and those of
/// foreign ("non-distributable") layers, which become ordinary ones. Other types are returned as they are.
std::string oci_layer_type(std::string_view media_type);
/// The same in docker's names.
std::string docker_layer_type(std::string_view media_type);
/// Whether the type is that of a foreign ("non-distributable") layer, which is fetched from URLs and not pushed.
bool is_foreign_layer(std::string_view media_type);
/// The type of a foreign layer in docker's names, or the image-spec's.
std::string foreign_layer_type(std::string_view media_type, bool docker);

}  // namespace cbuild::oci
