// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

#include "engine/lower_build.h"
#include "engine/services.h"
#include "exporter/early_uploads.h"
#include "solver/graph/graph.h"

namespace cbuild::engine {

/// The layers of a build that are sent to registries before its end: those of pushed images, and those of caches in
/// registries that no image has. Only blobs that the build's packer makes; an output that wants others pushes them at
/// the end.
class EarlyPushes {
 public:
  EarlyPushes(Services& services, const LoweredBuild& lowered);

  /// Null if nothing is sent early.
  exporter::EarlyUploads* uploads() { return uploads_.get(); }
  /// A step that ran gave this chain. To be called before its layer is packed. Thread-safe.
  void on_result(solver::VertexId step, const Digest& chain);

 private:
  void add_images();
  void add_image_layer(solver::VertexId step, const oci::Reference& target);
  void add_caches();

  Services& services_;
  const LoweredBuild& lowered_;
  std::unordered_map<solver::VertexId, oci::Reference> targets_;
  std::unique_ptr<exporter::EarlyUploads> uploads_;
  std::mutex mutex_;  // guards seen_
  std::set<Digest> seen_;
};

}  // namespace cbuild::engine
