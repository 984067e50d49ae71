// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "cache/build_history.h"
#include "cache/store.h"
#include "sandbox/runner.h"
#include "solver/ops/exec_backend.h"
#include "solver/ops/step_context.h"
#include "solver/ops/step_log.h"

namespace cbuild::solver::ops {

/// Takes the changes of a command that failed.
using KeepFailed = std::function<void(const ExecuteRequest& request, cache::Staging changes)>;

/// Shared by the commands of one build.
struct ExecServices {
  StepContext& context;
  ExecBackend& backend;
  cache::BuildLogs& logs;
  LogLimits log_limits;
  const SecretValues* masked;  ///< replaced in the output; null: nothing is
  KeepFailed keep_failed;      ///< empty: they are thrown away
  OnUse on_use;                ///< empty: nobody asks
};

/// One RUN, however it is run: its attempts, its log, its result. Keeps itself alive while it runs.
class ExecStep : public std::enable_shared_from_this<ExecStep> {
 public:
  ExecStep(const ExecServices& services, const ExecuteRequest& request, Completion done);
  ~ExecStep();
  /// Prepares and starts the command; may block on downloads. Never throws: failures go to the completion.
  void start();
  /// TERM, then KILL.
  void stop();

 private:
  void launch();
  void finish(ExecEnd end);
  bool try_again(const ExecEnd& end);
  Error failure_of(const ExecEnd& end) const;
  bool is_failure(const sandbox::Exit& exit) const;
  void publish_kept(const Result& command);
  Result publish();
  void fail(Error error, int exit_code);
  void on_output(LogStream stream, std::string_view data);
  std::string log_name() const;

  const ExecServices services_;
  const ExecuteRequest request_;
  const ExecSettings& settings_;
  Completion done_;
  std::mutex mutex_;  // guards the four below
  std::shared_ptr<sandbox::RunningStep> running_;
  unsigned attempts_ = 0;  ///< begun
  bool runs_ = false;      ///< the last of them
  bool stopped_ = false;
  struct {
    std::int64_t began_ns = 0;  ///< the attempt that runs
    ResourceUse use;            ///< of all attempts
  } spent_;
  std::optional<cache::Staging> changes_;
  std::vector<KeptMount> kept_;
  StepLog log_;
};

}  // namespace cbuild::solver::ops
