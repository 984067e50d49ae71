// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "cache/store.h"
#include "sandbox/runner.h"
#include "solver/executor.h"
#include "solver/ops/kept_mount.h"

namespace cbuild::solver::ops {

struct StepContext;

/// How one attempt to run a command ended.
struct ExecEnd {
  sandbox::Exit exit;
  std::string hint;  ///< advice about a command that could not be started here; may be empty
  /// Its changes to its root, as an overlay's upper directory; a backend elsewhere unpacks its layer into one. Always
  /// there if the exit code is 0 and there is no set-up error.
  std::optional<cache::Staging> changes;
  std::int64_t memory_limit_bytes = 0;  ///< that the command had, of those that a build sets; 0: none
  std::vector<KeptMount> kept = {};     ///< as `changes`, of each mount that is kept: all that is in it
};

struct ExecCallbacks {
  /// Output of the command, and notes about it, as they come; from any thread, one call at a time.
  std::function<void(LogStream, std::string_view)> output;
  /// Called exactly once, after all output, from a thread that may be kept for a while. By then nothing that the
  /// command used is held any more (cache mounts above all). May come before start() has returned.
  std::function<void(ExecEnd)> done;
};

/// A file or directory of this machine that a visitor sees.
struct VisitMount {
  int fd = -1;  ///< O_PATH; borrowed until visit() returns
  std::string target;
  bool read_only = true;
};

/// How a command is run in the place of a step's own, for a person who looks around. Descriptors are borrowed until
/// visit() returns.
struct ExecVisit {
  const cache::Staging* changes = nullptr;  ///< of the step's own command, put on top of its root; null: none
  std::vector<VisitMount> mounts = {};
  int stdin_fd = -1, terminal_fd = -1;  ///< as of sandbox::Spec
};

/// The seam between "a RUN is due" and the way it is run: here in a sandbox (local_exec.h), or, one day, on another
/// machine. It runs one attempt and gives its exit and its changes; attempts, logs, messages, the
/// identity of the result and the store's records are ExecStep's, so that they do not depend on the way. Thread-safe.
class ExecBackend {
 public:
  virtual ~ExecBackend() = default;
  /// Runs the ExecOp of `request`, whose vertex lives as long as the build. May block while its inputs are fetched.
  /// Throws Error, and then done() is not called, for a request of the step that cannot be met. stop() of the returned
  /// handle ends the command, and its exit then says that it was cancelled.
  virtual std::shared_ptr<sandbox::RunningStep> start(const ExecuteRequest& request, ExecCallbacks callbacks) = 0;
  /// The same for a command that stands in for the step's own: what it changes is thrown away at its end. `visit` and
  /// `request.vertex` live until done(). A backend whose commands run where nobody can look in throws
  /// Error{unsupported}, as this one does.
  virtual std::shared_ptr<sandbox::RunningStep> visit(const ExecuteRequest& request, const ExecVisit& visit,
                                                      ExecCallbacks callbacks);
};

/// Makes the backend of one build, when its first command is due. `context` outlives it.
using MakeExecBackend = std::function<std::unique_ptr<ExecBackend>(StepContext& context)>;

}  // namespace cbuild::solver::ops
