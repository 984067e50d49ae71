// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cache/packer.h"
#include "cache/remote/backend.h"
#include "cache/remote/remote_index.h"
#include "exporter/outputs.h"

namespace cbuild::exporter {

/// A step of the build and its result.
struct CachedStep {
  Digest definition_key;
  cache::Record record;
};

/// The results of a build, for a remote cache.
struct CacheContent {
  std::vector<CachedStep> steps;         ///< all of the build, in the order of the graph
  std::vector<Digest> image_chains;      ///< of the results; an empty one: an image without a layer
  std::optional<oci::Reference> pushed;  ///< where the image has just been pushed: blobs may be mounted from there
};

/// How much an export moved.
struct CacheExportReport {
  std::size_t records = 0, blobs_new = 0, blobs_known = 0;
  std::uint64_t bytes_new = 0;
  oci::Descriptor manifest;        ///< of what lies there now
  bool unchanged = false;          ///< the same manifest lay there: nothing was written
  std::vector<std::string> notes;  ///< cache mounts that were left out, and why
};

/// Writes the steps that `spec` asks for to `backend`, in addition to recent ones of other builds. Blobs that the
/// manifest there already names are not asked for one by one. `seen`: the manifest that this build found there earlier,
/// or empty; if it has all that would be written, nothing is asked. Throws Error.
CacheExportReport export_cache(const cache::CacheSpec& spec, cache::CacheBackend& backend, const CacheContent& content,
                               cache::Packer& packer, ExportContext& context, const std::string& seen = {});

/// The index for the configuration of an image itself (type=inline): steps whose layers are the image's.
std::string inline_cache(const CacheContent& content, const Digest& image_chain, cache::Packer& packer,
                         cache::Store& store);

}  // namespace cbuild::exporter
