// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "sandbox/binfmt.h"
#include "solver/graph/graph.h"

namespace cbuild::engine {

/// What a build has for commands of platforms whose programs this machine does not start by itself.
struct ForeignSettings {
  bool own_namespace = false;          ///< this process is in a user namespace that the build made
  std::vector<std::string> emulators;  ///< directories to look for qemu-user in
  std::string binfmt_directory = sandbox::kBinfmtDirectory;
  /// The architecture that an image says it is of, by the digest of its manifest; empty: not known.
  std::function<std::string(const Digest& manifest)> architecture_of;
};

/// The commands of a graph that need an emulator. Where the machine is seen to have none registered and the build has a
/// user namespace of its own, qemu-user is registered in there, for as long as this lives.
class ForeignSteps {
 public:
  /// Looks at commands that `targets` reach; `graph` must outlive it.
  ForeignSteps(const solver::Graph& graph, const std::vector<solver::VertexId>& targets, ForeignSettings settings);

  /// How emulators were registered, or why not.
  const std::vector<std::string>& notes() const { return notes_; }
  /// One line, with the package to install, for each platform whose commands may not start here. `all`: also where
  /// refusal() says so.
  std::vector<std::string> warnings(bool all) const;
  /// Why a command cannot be started: an image of a foreign architecture is below it and there is no emulator. nullopt
  /// for anything else; a root that was copied together may hold programs of this machine.
  std::optional<Error> refusal(solver::VertexId id) const;
  /// Where the registrations that count can be read.
  const std::string& binfmt_directory() const { return settings_.binfmt_directory; }

 private:
  void add_emulators(const std::vector<std::string>& platforms);

  const solver::Graph& graph_;
  const std::vector<solver::VertexId> targets_;
  ForeignSettings settings_;
  std::optional<sandbox::OwnInterpreters> own_;
  std::vector<std::string> notes_;
  std::map<std::string, bool> missing_;  ///< by platform: seen to have no interpreter
};

}  // namespace cbuild::engine
