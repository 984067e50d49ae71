// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <unordered_set>

#include "base/cancel.h"
#include "base/progress.h"
#include "cache/build_history.h"
#include "cache/packer.h"
#include "cache/store.h"
#include "cache/unpacker.h"
#include "solver/ops/exec_backend.h"
#include "solver/ops/foreign_layer.h"
#include "solver/ops/secret_values.h"
#include "solver/ops/step_log.h"
#include "solver/sources/git_source.h"
#include "solver/sources/url_source.h"

namespace cbuild::solver::ops {

/// Files and repositories by URL: HttpSource and GitSource.
struct NetworkAccess {
  UrlSources& urls;
  GitSources& git;
};

/// Told of what the command of a vertex has used, all attempts together, before the vertex is done. Thread-safe.
using OnUse = std::function<void(VertexId vertex, const ResourceUse& use)>;

/// Commands: ExecOp.
struct CommandServices {
  MakeExecBackend backend;
  cache::BuildLogs& logs;  ///< where each step's log is kept as <vertex>.log
  LogLimits log_limits = {};
  const SecretValues* masked = nullptr;  ///< replaced in what steps print
  bool keep_failed = false;              ///< the changes of commands that fail are kept for StoreExecutor::failed()
  OnUse on_use = {};
};

/// Copies whose tree no step reads: they are packed from where the files lie, and no tree is made of them.
struct PackedCopies {
  cache::Packer& packer;
  std::unordered_set<VertexId> vertices;
};

/// Shared by the ops of one build. A part that some ops need and not every build has is optional; an op whose part is
/// missing fails, and says so.
struct BuildServices {
  cache::Store& store;
  ProgressSink& progress;
  const CancelSource& cancel;
  cache::BlobFetcher fetch_blob = nullptr;  ///< empty: blobs that are not in the store cannot be fetched
  /// Names the table of a layer as a remote cache has it, as one to fetch.
  std::function<std::optional<cache::Layer>(const cache::Layer&)> remote_table = nullptr;
  /// For layers with a table of contents of their own; empty: they are read as all others.
  ReadLayerRange read_range = nullptr;
  std::optional<NetworkAccess> network = {};
  std::optional<CommandServices> commands = {};
  std::optional<PackedCopies> packed = {};
  bool files_wanted = false;  ///< an output is made of the files of a result
};

}  // namespace cbuild::solver::ops
