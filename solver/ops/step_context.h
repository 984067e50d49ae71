// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <string>
#include <unordered_set>

#include "cache/lazy_view.h"
#include "cache/store.h"
#include "solver/ops/build_services.h"
#include "solver/ops/foreign_layer.h"
#include "solver/ops/planned_tree.h"
#include "solver/ops/work_pool.h"
#include "solver/ops/write_image.h"
#include "solver/sources/sources.h"

namespace cbuild::solver::ops {

/// Shared by the steps of one build; made once by StoreExecutor. Thread-safe.
struct StepContext {
  const Graph& graph;
  BuildServices services;
  LocalTrees local_trees;
  std::mutex materialized_mutex;
  std::unordered_set<Digest> materialized;  ///< chains known to have all their trees
  ForeignLayers foreign_layers;
  WorkPool pool{16};       ///< last: its threads use all above
  WorkPool finishers{16};  ///< for work that frees the locks that work in `pool` may wait for

  StepContext(const Graph& solved, BuildServices given);

  /// The directory that input `index` of `reader` is read from in place; null for other inputs.
  const LocalSource* local_source(const Vertex& reader, std::size_t index) const;
  /// Brings the layers of a chain to disk unless that is known to be so. May download.
  void materialize(const Digest& chain, TaskId task);
  /// A view of a chain whose layers need not have trees. May download.
  cache::TreeView lazy_view(const Digest& chain, TaskId task, cache::Missing missing);
  /// How a selection of a result is read, for its digest as for its copy: what a command mounts, too, will be a tree.
  cache::Missing missing_sources(const Selector& selector) const;
  /// Whether this build reads a layer of a chain by parts, so that a digest of the view is the word of its table.
  bool reads_parts(const Digest& chain);
  /// Decides that it does not; false if it does.
  bool reads_trees(const Digest& chain);
  /// Whether a command may be run on what a vertex makes, or an output is made of files: then trees will be needed.
  bool leads_to_trees(VertexId vertex) const { return services.files_wanted || below_commands_.contains(vertex); }
  bool is_materialized(const Digest& chain);
  /// Publishes a finished tree as a layer on `parent`.
  Result add_layer(const Digest& parent, cache::Staging staging, const Digest& identity,
                   const std::string& description);
  /// Publishes the plan of a copy as a layer on `parent`, in the form that suits it. `series`: of the copies that are
  /// like this one but for their sources' content.
  Result add_copy(const Digest& parent, const PlannedTree& plan, const RootMetadata& root, const Digest& series,
                  const Digest& identity, const std::string& description);
  /// Packs the plan with `packer` into a layer on `parent` that has no tree.
  Result add_packed(cache::Packer& packer, const Digest& parent, const PlannedTree& plan, const Digest& identity,
                    const std::string& description);
  /// The selection of a bind mount or a copy from a local directory, as a layer of its own: owned by root, without
  /// ignored files. `path` has no links on the way (local_path()).
  Result local_snapshot(const LocalSource& source, const std::string& path);
  /// Where a path of a local directory leads, links followed; throws Error{not_found}.
  std::string local_path(const LocalSource& source, const std::string& path);

 private:
  /// The result of a layer that has its tree.
  Result materialized_on(const Digest& parent, const cache::Chain& chain);
  Result add_tree(const Digest& parent, cache::Layer layer, cache::Staging staging, const Digest& identity);
  cache::BlobAccess blob_access(TaskId task);
  bool fetch_table(const cache::Layer& layer);

  const std::unordered_set<VertexId> below_commands_;
  const std::unordered_set<Digest> mounted_selections_;
};

}  // namespace cbuild::solver::ops
