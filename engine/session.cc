// SPDX-License-Identifier: Apache-2.0
#include "engine/session.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/fd.h"
#include "base/side/side_metadata.h"
#include "base/text.h"
#include "cache/store.h"

namespace cbuild::engine {
namespace {

/// False for the root of a user namespace, whoever made it: these attributes are the machine's.
bool can_set_trusted_attributes() {
  const UniqueFd file(::memfd_create("cbuild", MFD_CLOEXEC));
  return !file || ::fsetxattr(file.get(), "trusted.cbuild", "", 0, 0) == 0 || errno != EPERM;
}

/// Root of a container that may not mount can do so in a user namespace, where the container allows one.
bool needs_user_namespace() {
  if (geteuid() != 0) return true;
  if (sandbox::may_mount()) return false;
  const sandbox::Mode mode = sandbox::probe(false).mode;
  return mode == sandbox::Mode::user_namespace || mode == sandbox::Mode::masked_proc;
}

/// Where none can be entered, all that needs no command of an image works still.
void enter_user_namespace(Session& session) {
  try {
    session.user_namespace = sandbox::enter_user_namespace();
    session.unprivileged = true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    session.no_user_namespace = error;
  }
}

}  // namespace

Session start_session(const std::string& root) {
  Session session;
  session.root = root.empty() ? cache::default_root() : root;
  signal(SIGPIPE, SIG_IGN);
  if (needs_user_namespace()) enter_user_namespace(session);
  session.user_xattr = session.unprivileged || !can_set_trusted_attributes();
  session.owners_apart = !may_give_files_away();
  // Steps come back to the mount namespace they left, which has to be our own; where that is refused, probe() finds
  // out.
  if (session.user_xattr && !session.unprivileged && ::unshare(CLONE_NEWNS) == 0)
    (void)::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr);
  session.zygote = std::make_unique<sandbox::Zygote>(sandbox::Zygote::start());
  session.workers = std::make_unique<solver::WorkerLimit>();
  return session;
}

Session another_session(const Session& first) {
  Session session;
  session.root = first.root;
  session.unprivileged = first.unprivileged;
  session.no_user_namespace = first.no_user_namespace;
  session.user_xattr = first.user_xattr;
  session.owners_apart = first.owners_apart;
  session.user_namespace = first.user_namespace;
  session.zygote = std::make_unique<sandbox::Zygote>(sandbox::Zygote::start());
  return session;
}

cache::StoreOptions store_options(const Session& session, bool makes_room) {
  return {.root = session.root,
          .user_xattr = session.user_xattr,
          .owners_apart = session.owners_apart,
          .makes_room = makes_room};
}

sandbox::Mode choose_isolation(const std::string& wanted, bool tell, const Session& session, ProgressSink& progress) {
  for (const sandbox::Mode mode : {sandbox::Mode::root, sandbox::Mode::user_namespace, sandbox::Mode::masked_proc,
                                   sandbox::Mode::chroot, sandbox::Mode::none})
    if (wanted == sandbox::to_string(mode)) return mode;
  const sandbox::ProbeResult probe = sandbox::probe(session.unprivileged);
  const std::string why = probe.why();
  if (probe.mode != sandbox::Mode::root || tell)
    progress.on_event(RunNote{
        Severity::note, cat("isolation: ", sandbox::to_string(probe.mode), why.empty() ? "" : cat(" (", why, ")"))});
  if (!probe.lacks.empty())
    progress.on_event(RunNote{Severity::note, cat("steps do without: ", join(probe.lacks, ", "))});
  return probe.mode;
}

}  // namespace cbuild::engine
