// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/workspace.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "api/session/sync_directory.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr char kDaemons[] = "daemons";
constexpr char kWorkspaceLock[] = "lock";

UniqueFd open_daemons(const std::string& root) {
  sys::mkdir_all(AT_FDCWD, cat(root, "/", kDaemons), 0700);
  return sys::open_at(AT_FDCWD, cat(root, "/", kDaemons), O_RDONLY | O_DIRECTORY);
}

FileLock lock_workspace(int directory) {
  auto lock = FileLock::try_lock(directory, kWorkspaceLock, FileLock::Mode::exclusive);
  if (!lock) throw Error(ErrorCode::internal, "a new directory is locked");
  return std::move(*lock);
}

/// One that is just being made has no lock file yet, and is left for the next daemon.
void remove_dead(int daemons) {
  for (const std::string& name : sys::list_dir(daemons)) {
    const auto directory = sys::try_open_at(daemons, name, O_PATH | O_DIRECTORY);
    if (!directory || !sys::try_stat_at(directory->get(), kWorkspaceLock)) continue;
    if (FileLock::try_lock(directory->get(), kWorkspaceLock, FileLock::Mode::exclusive))
      sys::remove_all_at(daemons, name);
  }
}

}  // namespace

Workspace::Workspace(const std::string& root)
    : directory_(open_daemons(root).get(), "daemon-"), lock_(lock_workspace(directory_.fd())) {
  remove_dead(open_daemons(root).get());
}

std::string client_copies(const std::string& root) { return cat(root, "/clients"); }

void remove_client_copies(const std::string& root, std::int64_t unused_for_ns) noexcept {
  try {
    const auto copies = sys::try_open_at(AT_FDCWD, client_copies(root), O_RDONLY | O_DIRECTORY);
    if (!copies) return;
    for (const std::string& name : sys::list_dir(copies->get())) {
      const auto st = sys::try_stat_at(copies->get(), name);
      if (!st || sys::now_ns() - st->st_mtim.tv_sec * 1'000'000'000 < unused_for_ns) continue;
      const auto locked = SyncedDirectory::try_lock(cat(client_copies(root), "/", name));
      if (locked) sys::remove_all_at(copies->get(), name);
    }
  } catch (const std::exception&) {
    return;  // the next time
  }
}

}  // namespace cbuild::api
