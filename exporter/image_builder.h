// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache/packer.h"
#include "cache/store.h"
#include "cache/unpacker.h"
#include "exporter/attestation.h"
#include "oci/compression/compression.h"
#include "oci/image_config.h"
#include "oci/manifest.h"

namespace cbuild::exporter {

/// A built image as the solver left it.
struct ImageResult {
  Digest chain;                  ///< empty: no layer at all
  oci::Platform platform;        ///< that was asked for; the config's is another where a base was taken as it is
  oci::ImageConfig config;       ///< as LoweredTarget::config; diff_ids and times are filled in here
  std::size_t base_history = 0;  ///< leading history entries that came with the base and stay untouched
  std::optional<std::int64_t> source_date_epoch;  ///< latest time in config and history
  std::optional<std::int64_t> file_epoch;         ///< latest time of exported files; layers: see ImageOptions
  oci::Annotations annotations;                   ///< for the manifest
  oci::Annotations descriptor_annotations;        ///< for the descriptor of the manifest
  std::vector<Attestation> attestations;          ///< for the outputs that take some (attested_image.h)
};

struct ImageOptions {
  oci::layer::Compression compression = oci::layer::Compression::gzip;
  int compression_level = 0;
  bool docker_media_types = false;
  bool force_compression = false;  ///< layers of the base, too, are put into `compression`
  bool prefer_foreign = false;     ///< foreign layers of the base stay foreign
  bool rewrite_timestamp = false;  ///< times of files in own layers are lowered to ImageResult::file_epoch

  bool operator==(const ImageOptions&) const = default;
};

/// A finished image: everything is in the store's blobs (base layers perhaps only elsewhere).
struct BuiltImage {
  oci::Descriptor manifest;
  oci::Descriptor config;
  oci::Manifest content;
  std::string config_json, manifest_json;
  std::vector<cache::Layer> layers;  ///< bottom first, one per manifest layer
};

/// How a manifest names a packed layer: media type of the kind that is asked for, and where its blob has a table of
/// contents. A foreign layer becomes an ordinary one without URLs, as all others lie where the image lies, unless
/// `keep_foreign`.
oci::Descriptor layer_descriptor(const cache::Layer& layer, bool docker, bool keep_foreign = false);

/// Packs layers that are not packed, completes the config (diff_ids, history times, created = the last layer's time or
/// the epoch), writes config and manifest blobs. `packer` packs as `options` say. The same result and options give the
/// same bytes. `fetch` brings base layers that ImageOptions::force_compression needs.
BuiltImage build_image(cache::Store& store, cache::Packer& packer, ImageResult result, const ImageOptions& options,
                       const cache::BlobFetcher& fetch = nullptr);

}  // namespace cbuild::exporter
