// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "cache/store.h"
#include "sandbox/runner.h"

namespace cbuild::solver::ops {

struct CopyingSettings {
  std::function<cache::Staging()> stage;  ///< a place for a copy, on the store's file system
  bool mounts = true;                     ///< the inner runner can mount in a step's root, only no overlay for it
  bool user_xattr = false;                ///< as of the store
};

/// A runner for machines on which no overlay can be mounted on the store: copies the layers below a step into a
/// directory, lets `inner` run the command in it, and writes the changes into the spec's upper directory. The copy is
/// kept for the step that comes directly after. The descriptors of a spec have to stay open until done(). run() blocks
/// while it copies, and while another step uses one of the caches where nothing can be mounted. Errors of the
/// comparison afterwards come out as a set-up error.
std::unique_ptr<sandbox::Runner> make_copying_runner(std::unique_ptr<sandbox::Runner> inner, CopyingSettings settings);

}  // namespace cbuild::solver::ops
