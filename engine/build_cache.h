// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/progress.h"
#include "cache/packer.h"
#include "cache/remote/remote_cache.h"
#include "cache/store.h"
#include "engine/remote.h"
#include "engine/request/request.h"
#include "exporter/cache_export.h"
#include "solver/graph/graph.h"

namespace cbuild::engine {

/// The remote caches of one build: read in the background from the beginning, written at the end.
class BuildCache {
 public:
  BuildCache(cache::Store& store, Remote& remote, const BuildRequest& request, ProgressSink& progress,
             const CancelSource& cancel);
  ~BuildCache();

  /// Null when there is nothing to import from.
  cache::RemoteCache* importer() { return importer_.get(); }
  /// Whether steps other than the image's are exported, so that their layers have to be packed.
  bool wants_all_steps() const;

  /// The steps of a solved graph, looked up by their definition keys (by VertexId).
  exporter::CacheContent content(const solver::Graph& graph, const std::vector<solver::VertexId>& targets,
                                 const std::vector<Digest>& keys, const std::vector<Digest>& image_chains);
  /// Puts the cache that an image carries itself into its configuration, if that was asked for, and takes out one that
  /// came with its base.
  void put_inline(const exporter::CacheContent& content, cache::Packer& packer, exporter::ImageResult& image);
  /// Writes to all destinations, each as a task of its own from `first_task` on. `packer` makes layers as the image has
  /// them; `early`: what was sent before, null for nothing. Gives the manifest of the last cache in a registry or a
  /// directory. Throws Error when one fails that is not to be ignored.
  std::optional<oci::Descriptor> export_all(const exporter::CacheContent& content, cache::Packer& packer,
                                            exporter::EarlyUploads* early, TaskId first_task);

 private:
  void begin_import();
  std::vector<cache::CacheSpec> imports_of(const cache::CacheSpec& spec);
  cache::RemoteSource source(const cache::CacheSpec& spec, const CacheRace& race);
  std::optional<oci::Descriptor> export_one(const cache::CacheSpec& spec, const exporter::CacheContent& content,
                                            cache::Packer& packer, exporter::EarlyUploads* early, TaskId task);
  std::unique_ptr<cache::Packer> packer_for(const cache::CacheSpec& spec) const;

  cache::Store& store_;
  Remote& remote_;
  const BuildRequest& request_;
  ProgressSink& progress_;
  const CancelSource& cancel_;
  CancelSource import_cancel_;
  std::unique_ptr<oci::registry::Client> import_client_;  ///< ends with the import, whatever the build still does
  std::unique_ptr<cache::RemoteCache> importer_;
};

}  // namespace cbuild::engine
