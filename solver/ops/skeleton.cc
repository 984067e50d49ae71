// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/skeleton.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/owner.h"
#include "base/sys.h"
#include "base/text.h"
#include "solver/ops/rootfs_path.h"

namespace cbuild::solver::ops {
namespace {

/// "a", "a/b", "a/b/c" for "a/b/c".
std::vector<std::string> prefixes(const std::string& path) {
  std::vector<std::string> out;
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    out.push_back(path.substr(0, slash));
  out.push_back(path);
  return out;
}

bool is_below_another(const std::string& path, const std::vector<MountTarget>& targets) {
  return std::any_of(targets.begin(), targets.end(), [&](const MountTarget& other) {
    const std::string above = relative(other.first);
    return !above.empty() && other.second && path.starts_with(above + "/");
  });
}

void add_target(const cache::TreeView& root, const std::string& path, bool directory,
                std::map<std::string, sandbox::SkeletonEntry>& entries) {
  if (path.empty() || root.lookup(path)) return;
  for (const std::string& part : prefixes(path)) {
    sandbox::SkeletonEntry entry{.path = part};
    if (const auto existing = root.lookup(part)) {
      if (!S_ISDIR(existing->st.st_mode)) return;  // the mount itself will say that its target is not a directory
      entry.mode = existing->st.st_mode & 07777;
      entry.uid = existing->st.st_uid;
      entry.gid = existing->st.st_gid;
      entry.mtime_ns = existing->st.st_mtim.tv_sec * kNsPerSecond + existing->st.st_mtim.tv_nsec;
    } else if (part == path && !directory) {
      entry.directory = false;
      entry.mode = 0644;
    }
    entries.try_emplace(part, entry);
  }
}

/// Where files cannot be given away, a command sees one owner everywhere.
void make_entry(int root, SideRecorder* side, const sandbox::SkeletonEntry& entry) {
  if (entry.directory)
    sys::mkdir_at(root, entry.path, 0700);
  else
    sys::open_at(root, entry.path, O_WRONLY | O_CREAT | O_EXCL, 0600).close_checked();
  if (side != nullptr) {
    const mode_t type = entry.directory ? S_IFDIR : S_IFREG;
    return side->give(root, entry.path.c_str(), {type | entry.mode, entry.uid, entry.gid});
  }
  sys::set_owner(root, entry.path.c_str(), entry.uid, entry.gid);
  if (fchmodat(root, entry.path.c_str(), entry.mode, 0) != 0) throw_errno(errno, cat("chmod ", entry.path));
}

std::string key_of(const std::vector<sandbox::SkeletonEntry>& entries) {
  std::string key;
  for (const auto& e : entries)
    key += cat(e.path, '\n', e.directory ? 'd' : 'f', static_cast<unsigned>(e.mode), ' ', e.uid, ' ', e.gid, ' ',
               e.mtime_ns, '\n');
  return key;
}

}  // namespace

std::vector<sandbox::SkeletonEntry> skeleton_for(const cache::TreeView& root, const std::vector<MountTarget>& targets) {
  std::map<std::string, sandbox::SkeletonEntry> entries;
  for (const auto& [target, directory] : targets) {
    const std::string path = relative(target);
    if (is_below_another(path, targets)) continue;
    add_target(root, root.resolve_for_create(path), directory, entries);
  }
  std::vector<sandbox::SkeletonEntry> out;
  for (auto& [path, entry] : entries) out.push_back(std::move(entry));
  return out;
}

int Skeletons::directory(const std::vector<sandbox::SkeletonEntry>& entries) {
  if (entries.empty()) return -1;
  const std::lock_guard lock(mutex_);
  std::unique_ptr<cache::Staging>& made = made_[key_of(entries)];
  if (!made) {
    auto staging = std::make_unique<cache::Staging>(store_.stage("skeleton"));
    for (const auto& entry : entries) make_entry(staging->tree_fd(), staging->side(), entry);
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      const struct timespec time = {.tv_sec = entry->mtime_ns / kNsPerSecond,
                                    .tv_nsec = entry->mtime_ns % kNsPerSecond};
      const struct timespec times[2] = {time, time};
      if (utimensat(staging->tree_fd(), entry->path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
        throw_errno(errno, cat("utimens ", entry->path));
    }
    made = std::move(staging);
  }
  return made->tree_fd();
}

}  // namespace cbuild::solver::ops
