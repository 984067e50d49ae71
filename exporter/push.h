// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "exporter/outputs.h"
#include "oci/reference.h"

namespace cbuild::exporter {

/// What the locator of an image in a registry begins with (Layer::fetch_from).
inline constexpr std::string_view kImageScheme = "docker-image://";

/// The image that a layer's locator names in a registry (Layer::fetch_from), from a cache or not; nullopt for others.
std::optional<oci::Reference> image_reference(std::string_view locator);

/// Pushes an image under one name: blobs in parallel, layers of a base on the same registry by cross-repository mount,
/// then the manifest. Throws Error.
void push_image(const BuiltImage& image, const std::string& name, bool by_digest, ExportContext& context);

}  // namespace cbuild::exporter
