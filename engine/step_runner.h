// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "engine/services.h"
#include "sandbox/runner.h"
#include "solver/graph/graph.h"

namespace cbuild::engine {

/// The sandbox of a build's commands, made when the first of them is due, so that a cached build never probes the
/// machine. The remains of killed builds are removed then, before the space is needed.
class StepRunner {
 public:
  /// `services` must outlive it.
  explicit StepRunner(Services& services) : services_(services) {}
  /// Thread-safe. Throws Error{unsupported}.
  sandbox::Runner& get();
  /// Why a command cannot be run here, found out before anything runs; nullopt for anything else. Does not try what the
  /// machine can do where namespaces are certain.
  std::optional<Error> refusal(const solver::Vertex& vertex);
  /// Whether a command was due. Not while get() may be called.
  bool was_needed() const { return runner_ != nullptr; }

 private:
  sandbox::Mode mode();
  bool mounts_overlays(sandbox::Mode mode) const;
  void use_runtime(const std::string& name, sandbox::Mode mode);
  void copy_roots(sandbox::Mode mode);

  Services& services_;
  std::mutex mutex_;  // guards all below while steps run
  std::unique_ptr<sandbox::Runner> runner_;
  std::optional<sandbox::Mode> mode_;  ///< once it was chosen, and told
};

}  // namespace cbuild::engine
