// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "oci/reference.h"

/// Where else blobs lie: repositories of registries that were seen to hold them, from which a push to another
/// repository of the same registry can mount them. Only hints: a registry that lost a blob takes it as an upload.
namespace cbuild::cache {

class Store;

/// The prefix of the locator of an image in a registry (Layer::fetch_from).
inline constexpr std::string_view kImageScheme = "docker-image://";

/// The image that a layer's locator names in a registry (Layer::fetch_from), from a cache or not; nullopt for others.
std::optional<oci::Reference> image_reference(std::string_view locator);

/// The repository of `image` has the blob. Best effort: an error is dropped. Thread-safe, as all of this.
void note_blob_place(Store& store, const oci::Reference& image, const Digest& blob) noexcept;
/// The repositories of a registry that were noted for a blob, the newest first, a few at most.
std::vector<std::string> blob_places(Store& store, const std::string& registry, const Digest& blob);

}  // namespace cbuild::cache
