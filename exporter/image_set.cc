// SPDX-License-Identifier: Apache-2.0
#include "exporter/image_set.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "oci/blob_store.h"
#include "oci/image_config.h"

namespace cbuild::exporter {

const oci::Descriptor& ImageSet::top() const {
  CBUILD_CHECK(index || manifests.size() == 1);
  return index ? index->descriptor : manifests.front().manifest;
}

const std::string& ImageSet::top_json() const {
  CBUILD_CHECK(index || manifests.size() == 1);
  return index ? index->json : manifests.front().manifest_json;
}

ImageSet single_image(BuiltImage image) {
  ImageSet set;
  set.manifests.push_back(std::move(image));
  return set;
}

ImageSet make_index(cache::Store& store, std::vector<BuiltImage> manifests, const IndexOptions& options) {
  CBUILD_CHECK(!manifests.empty());
  ImageSet set{std::move(manifests), BuiltIndex{}, {}};
  BuiltIndex& index = *set.index;
  const bool docker = options.docker_media_types;
  index.content.media_type = std::string(docker ? oci::media_type::kDockerIndex : oci::media_type::kIndex);
  index.content.annotations = options.annotations;
  for (const BuiltImage& one : set.manifests) index.content.manifests.push_back(one.manifest);
  index.json = oci::to_json(index.content);
  index.descriptor = oci::put_blob(store.blobs(), index.json, index.content.media_type);
  index.descriptor.annotations = options.descriptor_annotations;
  return set;
}

void note_created(ImageSet& set, const std::optional<std::int64_t>& epoch_s) {
  std::optional<std::int64_t> seconds = epoch_s;
  for (const BuiltImage& one : set.manifests) {
    if (epoch_s || oci::is_attestation(one.manifest)) continue;
    const auto created_ns = parse_rfc3339_ns(oci::parse_image_config(one.config_json).created);
    if (created_ns) seconds = std::max(seconds.value_or(0), *created_ns / 1'000'000'000);
  }
  oci::Descriptor& top = set.index ? set.index->descriptor : set.manifests.front().manifest;
  if (seconds) top.annotations.emplace("org.opencontainers.image.created", format_rfc3339(*seconds));
}

BuiltImage attach_manifest(cache::Store& store, oci::Manifest content, const BuiltImage& subject,
                           std::string_view type) {
  BuiltImage attached;
  attached.content = std::move(content);
  attached.config = attached.content.config;
  for (const oci::Descriptor& blob : attached.content.layers) {
    cache::Layer& layer = attached.layers.emplace_back();
    layer.blob = blob;
    layer.has_blob = true;
  }
  attached.manifest_json = oci::to_json(attached.content);
  attached.manifest = oci::put_blob(store.blobs(), attached.manifest_json, attached.content.media_type);
  attached.manifest.platform = oci::Platform{.os = "unknown", .architecture = "unknown"};
  attached.manifest.annotations = {{"vnd.docker.reference.digest", subject.manifest.digest.str()},
                                   {"vnd.docker.reference.type", std::string(type)}};
  return attached;
}

std::vector<oci::Descriptor> blobs_of(const ImageSet& set) {
  std::vector<oci::Descriptor> blobs;
  std::set<Digest> seen;
  const auto add = [&](const oci::Descriptor& blob) {
    if (seen.insert(blob.digest).second) blobs.push_back(blob);
  };
  std::vector<BuiltImage> all = set.manifests;
  all.insert(all.end(), set.referrers.begin(), set.referrers.end());
  for (const BuiltImage& one : all) {
    for (const oci::Descriptor& layer : one.content.layers) add(layer);
    add(one.config);
    add(one.manifest);
  }
  if (set.index) add(set.index->descriptor);
  return blobs;
}

}  // namespace cbuild::exporter
