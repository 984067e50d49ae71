// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/store.h"
#include "exporter/image_builder.h"
#include "oci/manifest.h"

namespace cbuild::exporter {

/// An image index (image-index.md), or docker's manifest list. Its document is in the store's blobs.
struct BuiltIndex {
  oci::Descriptor descriptor;
  oci::Index content;
  std::string json;
};

/// What an output of images carries out: one manifest, or an index and all that it names. The manifests of images come
/// first, in the order of the platforms; others that belong to them (attach_manifest()) follow.
struct ImageSet {
  std::vector<BuiltImage> manifests;
  std::optional<BuiltIndex> index;  ///< unset: there is one manifest
  /// Manifests that have one of those as their subject and stand in no index.
  std::vector<BuiltImage> referrers = {};

  /// The document that gets the names.
  const oci::Descriptor& top() const;
  const std::string& top_json() const;
};

struct IndexOptions {
  bool docker_media_types = false;
  oci::Annotations annotations;             ///< for the index
  oci::Annotations descriptor_annotations;  ///< for its descriptor
};

/// One manifest without an index.
ImageSet single_image(BuiltImage image);

/// An index of `manifests`, at least one, with an entry for each as its descriptor says (platform, annotations); the
/// same manifests and options give the same bytes.
ImageSet make_index(cache::Store& store, std::vector<BuiltImage> manifests, const IndexOptions& options);

/// Says in the descriptor of what gets the names when the image was made, as BuildKit's archives do: at `epoch_s`, else
/// at the latest time of its configs. An annotation that is there stays.
void note_created(ImageSet& set, const std::optional<std::int64_t>& epoch_s);

/// A manifest that says something about `subject` and lies next to it in an index, as BuildKit's attestation manifests
/// do: its entry is of the platform unknown/unknown and has the annotations vnd.docker.reference.type (`type`) and
/// vnd.docker.reference.digest. The blobs that `content` names must be in the store; its document is put there.
BuiltImage attach_manifest(cache::Store& store, oci::Manifest content, const BuiltImage& subject,
                           std::string_view type);

/// Every blob of a set once, each before the document that names it: layers, configs, manifests, the index.
std::vector<oci::Descriptor> blobs_of(const ImageSet& set);

}  // namespace cbuild::exporter
