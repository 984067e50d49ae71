// SPDX-License-Identifier: Apache-2.0
#include "engine/step_runner.h"

#include "base/error.h"
#include "cache/gc/gc.h"
#include "solver/copied_root/copying_runner.h"

namespace cbuild::engine {

sandbox::Runner& StepRunner::get() {
  const std::lock_guard lock(mutex_);
  if (runner_) return *runner_;
  const Session& session = services_.session;
  ProgressSink& progress = services_.progress;
  const BuildRequest& request = services_.request;
  if (!session.zygote) throw Error(ErrorCode::unsupported, "this session has no process that starts commands");
  if (session.no_user_namespace) throw *session.no_user_namespace;
  if (session.unprivileged) progress.on_event(RunNote{Severity::note, session.user_namespace});
  const sandbox::Mode mode = choose_isolation(request.steps.isolation, request.tell_isolation, session, progress);
  runner_ = sandbox::make_namespace_runner(*session.zygote, mode);
  cache::clean_up_leftovers(services_.store);
  if (mode != sandbox::Mode::none && !mounts_overlays(mode)) copy_roots(mode);
  return *runner_;
}

/// Tried with directories of the store, since it may lie on a file system that takes no overlay above it.
bool StepRunner::mounts_overlays(sandbox::Mode mode) const {
  if (mode == sandbox::Mode::chroot) return false;
  const cache::Staging trial = services_.store.stage("overlay");
  return sandbox::can_mount_overlay(trial.tree_fd(), services_.session.user_xattr);
}

void StepRunner::copy_roots(sandbox::Mode mode) {
  const bool mounts = mode != sandbox::Mode::chroot;
  services_.progress.on_event(RunNote{
      Severity::note, mounts ? "no overlay can be mounted on the store's file system: each step runs on a copy of its "
                               "root; put the store on a volume (--root DIR)"
                             : "nothing can be mounted here: each step runs on a copy of its root, without /proc and "
                               "/sys, and its mounts are copies"});
  cache::Store& store = services_.store;
  runner_ = solver::ops::make_copying_runner(std::move(runner_), {.stage = [&store] { return store.stage("root"); },
                                                                  .mounts = mounts,
                                                                  .user_xattr = services_.session.user_xattr});
}

}  // namespace cbuild::engine
