// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>

#include "engine/services.h"
#include "sandbox/runner.h"

namespace cbuild::engine {

/// The sandbox of a build's commands, made when the first of them is due, so that a cached build never probes the
/// machine. The remains of killed builds are removed then, before the space is needed.
class StepRunner {
 public:
  /// `services` must outlive it.
  explicit StepRunner(Services& services) : services_(services) {}
  /// Thread-safe. Throws Error{unsupported}.
  sandbox::Runner& get();
  /// Whether a command was due. Not while get() may be called.
  bool was_needed() const { return runner_ != nullptr; }

 private:
  bool mounts_overlays(sandbox::Mode mode) const;
  void copy_roots(sandbox::Mode mode);

  Services& services_;
  std::mutex mutex_;  // guards runner_ while steps run
  std::unique_ptr<sandbox::Runner> runner_;
};

}  // namespace cbuild::engine
