// SPDX-License-Identifier: Apache-2.0
#include "engine/step_runner.h"

#include <fcntl.h>

#include <cerrno>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/gc/gc.h"
#include "engine/chroot_limits.h"
#include "sandbox/oci_bundle/oci_runner.h"
#include "solver/copied_root/copying_runner.h"

namespace cbuild::engine {

namespace {

Error no_commands(const std::string& why, const std::string& hint) {
  return Error(ErrorCode::unsupported, cat("commands cannot be run here, only FROM, COPY, ADD and outputs: ", why))
      .with_hint(hint);
}

Error no_commands(const Session& session) {
  if (session.no_user_namespace)
    return no_commands(session.no_user_namespace->message(), session.no_user_namespace->hint());
  const sandbox::ProbeResult probe = sandbox::probe(session.unprivileged);
  const std::string hint = probe.refused.empty() ? std::string() : probe.refused.back().remedy;
  return no_commands(probe.why(), hint.empty() ? sandbox::user_namespace_advice(EPERM) : hint);
}

}  // namespace

sandbox::Mode StepRunner::mode() {
  if (mode_) return *mode_;
  const Session& session = services_.session;
  const BuildRequest& request = services_.request;
  if (session.no_user_namespace) throw no_commands(session);
  if (session.unprivileged) services_.progress.on_event(RunNote{Severity::note, session.user_namespace});
  mode_ = choose_isolation(request.steps.isolation, request.tell_isolation, session, services_.progress);
  return *mode_;
}

std::optional<Error> StepRunner::refusal(const solver::Vertex& vertex) {
  if (!std::holds_alternative<solver::ExecOp>(vertex.op)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const std::string& wanted = services_.request.steps.isolation;
  const bool forced = wanted == to_string(sandbox::Mode::chroot) || wanted == to_string(sandbox::Mode::none);
  if (!forced && !services_.session.no_user_namespace && sandbox::may_mount()) return std::nullopt;
  try {
    if (mode() == sandbox::Mode::none) return no_commands(services_.session);
    const std::string wish = mode() == sandbox::Mode::chroot ? impossible_in_chroot(vertex) : "";
    if (wish.empty()) return std::nullopt;
    return Error(ErrorCode::unsupported, cat(wish, " is not possible where nothing can be mounted (isolation: chroot)"))
        .with_hint("`cbuild doctor` names the setting that gives steps more");
  } catch (const Error& error) {
    return error;
  }
}

sandbox::Runner& StepRunner::get() {
  const std::lock_guard lock(mutex_);
  if (runner_) return *runner_;
  const Session& session = services_.session;
  if (!session.zygote) throw Error(ErrorCode::unsupported, "this session has no process that starts commands");
  const sandbox::Mode mode = this->mode();
  if (mode == sandbox::Mode::none) throw no_commands(session);
  runner_ = sandbox::make_namespace_runner(*session.zygote, mode);
  const std::string& runtime = services_.request.steps.runtime;
  if (!runtime.empty()) use_runtime(runtime, mode);
  cache::clean_up_leftovers(services_.store);
  if (!mounts_overlays(mode)) copy_roots(mode);
  return *runner_;
}

void StepRunner::use_runtime(const std::string& name, sandbox::Mode mode) {
  if (mode != sandbox::Mode::root)
    throw Error(ErrorCode::unsupported, cat("--runtime: an OCI runtime cannot run steps in mode ", to_string(mode)))
        .with_hint("build as root, or without --runtime");
  cache::Store& store = services_.store;
  const auto place = [&store] {
    auto staging = std::make_shared<cache::Staging>(store.stage("bundle"));
    return sandbox::oci::BundlePlace{sys::readlink_at(AT_FDCWD, sys::fd_path(staging->tree_fd())), staging};
  };
  runner_ = sandbox::oci::make_oci_runner(std::move(runner_), {sandbox::oci::find_runtime(name), place});
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
