// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/progress.h"
#include "cache/content/tree.h"
#include "cache/store.h"
#include "sandbox/runner.h"
#include "solver/ops/executor.h"
#include "solver/ops/planned_tree.h"
#include "solver/ops/skeleton.h"
#include "solver/ops/sources.h"
#include "solver/ops/step_log.h"
#include "solver/ops/work_pool.h"

namespace cbuild::solver::ops {

/// What the steps of one build share; made once by StoreExecutor.
struct StepContext {
  BuildServices services;
  LocalTrees local_trees;
  Skeletons skeletons;
  std::mutex materialized_mutex;
  std::unordered_set<Digest> materialized;  ///< chains known to have all their trees
  std::string resolv_conf;
  std::mutex emptied_mutex;       // guards emptied
  std::set<std::string> emptied;  ///< cache mounts that a step without cache has begun afresh in this build
  WorkPool pool{16};              ///< last: its threads use all above
  WorkPool finishers{16};         ///< for what frees the locks that work in `pool` may wait for

  explicit StepContext(BuildServices given);

  /// Brings the layers of a chain to disk unless that is known to be so. May download.
  void materialize(const Digest& chain, TaskId task);
  bool is_materialized(const Digest& chain);
  /// Publishes a finished tree as a layer on `parent`.
  Result add_layer(const Digest& parent, cache::Staging staging, const Digest& identity,
                   const std::string& description);
  /// Packs what is planned into a layer on `parent` that has no tree.
  Result add_packed(const Digest& parent, const PlannedTree& plan, const Digest& identity,
                    const std::string& description);
  /// What a bind mount or a copy reads from a local directory, as a layer of its own: owned by root, without what is
  /// ignored. `path` has no links on the way (local_path()).
  Result local_snapshot(const LocalSource& source, const std::string& path);
  /// Where a path of a local directory leads, links followed; throws Error{not_found}.
  std::string local_path(const LocalSource& source, const std::string& path);
};

/// One RUN: from sandbox spec to published layer. Keeps itself alive while it runs.
class ExecStep : public std::enable_shared_from_this<ExecStep> {
 public:
  ExecStep(StepContext& context, const ExecuteRequest& request, Completion done);
  ~ExecStep();
  /// Prepares and starts the command; may block on downloads. Never throws: failures go to the completion.
  void start();
  /// TERM, then KILL.
  void stop();

  struct Inputs;  ///< descriptors and locks that must live until the command has started or ended

 private:
  void launch();
  bool is_stopped();
  void finish(const sandbox::Exit& exit);
  Result publish();
  void fail(Error error, int exit_code);
  void on_output(LogStream stream, std::string_view data);
  UniqueFd open_log() const;
  void show(LogStream stream, std::string_view data) const;
  std::string log_name() const;

  StepContext& context_;
  const ExecuteRequest request_;
  const ExecOp& op_;
  const ExecSettings& settings_;
  Completion done_;
  std::mutex mutex_;  // guards running_ and stopped_
  std::shared_ptr<sandbox::RunningStep> running_;
  bool stopped_ = false;
  unsigned attempts_left_;
  std::int64_t began_ns_ = 0;  ///< the attempt that runs
  std::optional<cache::Staging> staging_;
  std::unique_ptr<Inputs> inputs_;
  StepLog log_;
};

}  // namespace cbuild::solver::ops
