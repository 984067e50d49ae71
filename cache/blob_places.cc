// SPDX-License-Identifier: Apache-2.0
#include "cache/blob_places.h"

#include <algorithm>

#include "base/text.h"
#include "cache/cached_layers.h"
#include "cache/source_metadata.h"

namespace cbuild::cache {
namespace {

constexpr std::size_t kMostPlaces = 4;

Digest places_key(const std::string& registry, const Digest& blob) {
  return CanonicalWriter().text("blob places").text(registry).digest(blob).hash();
}

}  // namespace

std::optional<oci::Reference> image_reference(std::string_view locator) {
  if (locator.starts_with(kCacheOrigin)) locator.remove_prefix(kCacheOrigin.size());
  if (!locator.starts_with(kImageScheme)) return std::nullopt;
  return oci::parse_reference(std::string(locator.substr(kImageScheme.size())));
}

std::vector<std::string> blob_places(Store& store, const std::string& registry, const Digest& blob) {
  const auto text = read_source_metadata(store, places_key(registry, blob));
  return text ? split(*text, '\n') : std::vector<std::string>{};
}

void note_blob_place(Store& store, const oci::Reference& image, const Digest& blob) noexcept {
  try {
    std::vector<std::string> places = blob_places(store, image.registry, blob);
    if (std::find(places.begin(), places.end(), image.repository) != places.end()) return;
    places.insert(places.begin(), image.repository);
    if (places.size() > kMostPlaces) places.resize(kMostPlaces);
    write_source_metadata(store, places_key(image.registry, blob), join(places, "\n"));
  } catch (...) {
    return;  // a push without it uploads
  }
}

}  // namespace cbuild::cache
