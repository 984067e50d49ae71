// SPDX-License-Identifier: Apache-2.0
// From the result of a build to an image: the packed layers, the config, the manifest. The config comes from lowering
// and lacks diff ids and times; a history row that owns a layer gets the time of that layer, no later than
// SOURCE_DATE_EPOCH. A base may lack history rows or have media types of its own; rows are padded and types named by
// content, so that other tools take the image.
#include "exporter/image_builder.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cache/reencode.h"
#include "oci/layer_type.h"
#include "oci/table_annotations.h"

namespace cbuild::exporter {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr char kRewritten[] = "buildkit/rewritten-timestamp";  // BuildKit's mark on such a layer

std::string time_text(std::int64_t ns, const std::optional<std::int64_t>& epoch_s) {
  if (epoch_s) return format_rfc3339(std::min(ns / kNsPerSecond, *epoch_s));
  return format_rfc3339_ns(ns);
}

/// When each layer of this build was made, bottom first.
std::vector<std::int64_t> created_times(const std::vector<cache::Layer>& layers, std::size_t base_layers) {
  std::vector<std::int64_t> times;
  for (std::size_t i = base_layers; i < layers.size(); ++i) times.push_back(layers[i].created_ns);
  return times;
}

/// Rows that own a layer get that layer's time, rows between take the one before them; the base's rows stay as they
/// are.
void fill_history_times(ImageResult& result, const std::vector<std::int64_t>& times) {
  std::size_t layer = 0;
  std::int64_t now = times.empty() ? 0 : times.front();
  auto& history = result.config.history;
  for (std::size_t i = result.base_history; i < history.size(); ++i) {
    if (!history[i].empty_layer && layer < times.size()) now = times[layer++];
    if (now != 0 || result.source_date_epoch) history[i].created = time_text(now, result.source_date_epoch);
  }
}

/// Layers without a history row (a base that has none) get a padding row, as BuildKit does, so that counts agree.
void pad_history(ImageResult& result, std::size_t layers) {
  auto& history = result.config.history;
  const auto owned = static_cast<std::size_t>(
      std::count_if(history.begin(), history.end(), [](const auto& entry) { return !entry.empty_layer; }));
  for (std::size_t i = owned; i < layers; ++i) {
    oci::HistoryEntry padding{.created = {}, .created_by = {}, .author = {}, .comment = "buildkit.exporter.image.v0"};
    const auto at = history.begin() + static_cast<std::ptrdiff_t>(result.base_history);
    history.insert(at, padding);
    ++result.base_history;
  }
}

void set_created(ImageResult& result, const std::vector<std::int64_t>& times) {
  if (!times.empty()) {
    result.config.created = time_text(*std::max_element(times.begin(), times.end()), result.source_date_epoch);
  } else if (result.source_date_epoch) {
    result.config.created = format_rfc3339(*result.source_date_epoch);
  }
}

/// A base may call a layer anything, as long as it can be unpacked; the written type is one that all tools know.
void name_by_content(cache::Layer& layer, oci::BlobStore& blobs) {
  std::string& type = layer.blob->media_type;
  if (oci::is_layer(type)) return;
  if (!blobs.size(layer.blob->digest))
    throw Error(ErrorCode::unsupported, cat("layer ", layer.blob->digest.str(), " of a base image has the media type ",
                                            sanitize_for_terminal(type), ", which is not a layer's"));
  char head[4] = {};
  const ssize_t got = ::pread(blobs.open(layer.blob->digest).get(), head, sizeof head, 0);
  const std::string_view start(head, got > 0 ? static_cast<std::size_t>(got) : 0);
  type = oci::media_type::kLayer;
  if (start.starts_with("\x1f\x8b")) type = oci::media_type::kLayerGzip;
  if (start.starts_with("\x28\xb5\x2f\xfd")) type = oci::media_type::kLayerZstd;
}

void force_compression(cache::Store& store, cache::Layer& layer, const ImageOptions& options,
                       const cache::BlobFetcher& fetch) {
  const bool listed = options.compression == oci::layer::Compression::estargz;
  const bool has_table = !oci::annotation(*layer.blob, oci::kStargzTable).empty();
  if (oci::oci_layer_type(layer.blob->media_type) == oci::layer::media_type(options.compression) &&
      (!listed || has_table))
    return;
  if (!store.blobs().size(layer.blob->digest) && fetch) fetch(layer, store.blobs());
  oci::layer::PackOptions pack;
  pack.compression = options.compression;
  pack.level = options.compression_level;
  oci::layer::PackedLayer packed = cache::reencode_layer(store, layer, pack);
  layer.blob = std::move(packed.descriptor);
  layer.diff_id = packed.diff_id;
  layer.fetch_from.clear();
  layer.has_blob = true;
}

}  // namespace

oci::Descriptor layer_descriptor(const cache::Layer& layer, bool docker, bool keep_foreign) {
  CBUILD_CHECK(layer.blob.has_value());
  oci::Descriptor descriptor;
  descriptor.digest = layer.blob->digest;
  descriptor.size = layer.blob->size;
  const std::string& type = layer.blob->media_type;
  if (!docker) descriptor.annotations = oci::table_annotations(layer.blob->annotations);
  if (keep_foreign && oci::is_foreign_layer(type)) {
    descriptor.media_type = oci::foreign_layer_type(type, docker);
    descriptor.urls = layer.blob->urls;
    return descriptor;
  }
  descriptor.media_type = docker ? oci::docker_layer_type(type) : oci::oci_layer_type(type);
  return descriptor;
}

BuiltImage build_image(cache::Store& store, cache::Packer& packer, ImageResult result, const ImageOptions& options,
                       const cache::BlobFetcher& fetch) {
  BuiltImage image;
  if (!result.chain.empty()) image.layers = packer.finish(result.chain);
  const std::size_t base_layers = result.config.diff_ids.size();
  result.config.diff_ids.clear();
  for (cache::Layer& layer : image.layers) {
    name_by_content(layer, store.blobs());
    if (options.force_compression) force_compression(store, layer, options, fetch);
    result.config.diff_ids.push_back(layer.diff_id);
    image.content.layers.push_back(layer_descriptor(layer, options.docker_media_types, options.prefer_foreign));
  }
  if (options.rewrite_timestamp && result.file_epoch && !options.docker_media_types) {
    for (std::size_t i = base_layers; i < image.content.layers.size(); ++i)
      image.content.layers[i].annotations[kRewritten] = std::to_string(*result.file_epoch);
  }
  const std::vector<std::int64_t> times = created_times(image.layers, base_layers);
  fill_history_times(result, times);
  pad_history(result, image.layers.size());
  set_created(result, times);

  const bool docker = options.docker_media_types;
  image.config_json = oci::to_json(result.config);
  image.config = oci::put_blob(store.blobs(), image.config_json,
                               std::string(docker ? oci::media_type::kDockerConfig : oci::media_type::kConfig));
  image.content.media_type = std::string(docker ? oci::media_type::kDockerManifest : oci::media_type::kManifest);
  image.content.config = image.config;
  image.content.annotations = result.annotations;
  image.manifest_json = oci::to_json(image.content);
  image.manifest = oci::put_blob(store.blobs(), image.manifest_json, image.content.media_type);
  image.manifest.platform = result.config.platform;
  image.manifest.annotations = result.descriptor_annotations;
  return image;
}

}  // namespace cbuild::exporter
