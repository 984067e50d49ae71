// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/process_values.h"
#include "base/progress.h"
#include "engine/services.h"
#include "sandbox/runner.h"
#include "solver/graph/graph.h"
#include "solver/ops/executor.h"

namespace cbuild::engine {

/// A file or directory of this machine that an entered step sees.
struct HostMount {
  std::string source, target;
  bool read_only = true;

  bool operator==(const HostMount&) const = default;
};

/// A command in the place of a step's own. A field that is left out is as the step has it.
struct EnteredCommand {
  std::vector<std::string> argv;         ///< empty: the step's own command
  std::vector<std::string> environment;  ///< "NAME=VALUE": in addition, or in the place of a variable of the step
  std::optional<std::string> working_dir, user;
  std::optional<NetworkMode> network;
  std::vector<HostMount> mounts;
  int stdin_fd = -1, terminal_fd = -1;  ///< as of sandbox::Spec; borrowed
  /// Of a command without a terminal, and notes about any; from another thread. Empty: dropped.
  std::function<void(LogStream, std::string_view)> output;
};

/// A place where commands can be run: the root, mounts, environment, user and network of a step, or of an image. Any
/// number of commands can be run there, one after the other; each begins from the same files.
class EnteredStep {
 public:
  struct Place {
    solver::Vertex vertex;                     ///< of an ExecOp
    std::vector<solver::Result> inputs;        ///< of the vertex
    solver::VertexId shown_as = 0;             ///< the task under which downloads are shown
    const cache::Staging* changes = {};        ///< of the step's command, which failed; null: none
    std::vector<std::string> entrypoint = {};  ///< of an image, with which its own command begins
  };

  /// The arguments outlive it.
  EnteredStep(Services& services, solver::ops::StoreExecutor& executor, Place place)
      : services_(services), executor_(executor), place_(std::move(place)) {}

  const std::string& name() const { return place_.vertex.name; }
  /// The step's own command, with its environment, user and directory; for an image that of its config.
  const solver::ExecOp& own() const;
  const std::vector<std::string>& entrypoint() const { return place_.entrypoint; }
  /// The shell that the step's command is given to, else /bin/sh.
  std::vector<std::string> shell() const;
  /// Runs a command and waits for its end; nothing that it changes stays. A cancelled build ends it. Throws Error.
  sandbox::Exit run(const EnteredCommand& command);
  /// The files that a command finds, without mounts. Throws Error.
  cache::TreeView files();
  /// Whether a command failed here, so that there are changes to export.
  bool has_changes() const { return place_.changes != nullptr; }
  /// Writes the files that the failed command has made or changed into a directory, by the rules of type=local. Gives
  /// the paths that it has removed. Throws Error.
  std::vector<std::string> export_changes(const std::string& directory) const;

 private:
  solver::Vertex vertex_for(const EnteredCommand& command) const;

  Services& services_;
  solver::ops::StoreExecutor& executor_;
  const Place place_;
};

}  // namespace cbuild::engine
