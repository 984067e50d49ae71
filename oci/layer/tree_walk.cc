// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/error.h"
#include "base/sys.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kKeptDirs = 64;  ///< levels whose descriptor stays open
constexpr int kWalkFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

SharedFd share(UniqueFd fd) { return std::make_shared<const UniqueFd>(std::move(fd)); }

unsigned char type_of(int dirfd, const WalkEntry& entry) {
  struct stat st;
  if (fstatat(dirfd, entry.name(), &st, AT_SYMLINK_NOFOLLOW) != 0) throw_errno(errno, entry.path);
  return static_cast<unsigned char>(IFTODT(st.st_mode));
}

SharedFd open_child(int dirfd, const WalkEntry& entry) {
  const int fd = openat(dirfd, entry.name(), kWalkFlags | O_CLOEXEC);
  if (fd < 0) throw_errno(errno, entry.path);
  return share(UniqueFd(fd));
}

}  // namespace

void NameList::take(const char* records, std::size_t size) {
  for (std::size_t at = 0; at < size;) {
    dirent64 head;  // copied: the record's name is longer or shorter than the struct's
    std::memcpy(&head, records + at, offsetof(dirent64, d_name));
    const char* name = records + at + offsetof(dirent64, d_name);
    at += head.d_reclen;
    const std::string_view text(name);
    if (text == "." || text == "..") continue;
    items_.push_back({static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint16_t>(text.size()), head.d_type});
    bytes_ += text;
  }
}

NameList NameList::read(int dirfd) {
  NameList list;
  alignas(dirent64) std::array<char, 32 << 10> buffer;
  for (;;) {
    const long got = syscall(SYS_getdents64, dirfd, buffer.data(), buffer.size());
    if (got < 0) throw_errno(errno, "read directory");
    if (got == 0) break;
    list.take(buffer.data(), static_cast<std::size_t>(got));
  }
  const char* bytes = list.bytes_.data();
  std::sort(list.items_.begin(), list.items_.end(), [bytes](const Item& a, const Item& b) {
    return std::string_view(bytes + a.at, a.size) < std::string_view(bytes + b.at, b.size);
  });
  return list;
}

TreeWalk::TreeWalk(int rootfd) : rootfd_(rootfd) { enter(share(sys::open_at(rootfd, ".", kWalkFlags))); }

void TreeWalk::enter(SharedFd dir) {
  try {
    NameList names = NameList::read(dir->get());
    if (levels_.size() >= kKeptDirs) levels_[levels_.size() - kKeptDirs].dir.reset();
    levels_.push_back({std::move(dir), std::move(names), 0, path_.size()});
  } catch (Error& error) {
    throw error.add_context(path_.empty() ? "." : path_);
  }
}

const SharedFd& TreeWalk::dir_of(Level& level) {
  if (!level.dir) {
    const std::string path = level.path_size == 0 ? "." : path_.substr(0, level.path_size) + "/.";
    level.dir = share(sys::open_beneath(rootfd_, path, O_RDONLY));
  }
  return level.dir;
}

bool TreeWalk::next(WalkEntry& entry) {
  while (!levels_.empty() && levels_.back().next == levels_.back().names.size()) levels_.pop_back();
  if (levels_.empty()) return false;
  Level& level = levels_.back();
  const std::size_t index = level.next++;
  path_.resize(level.path_size);
  if (!path_.empty()) path_ += '/';
  entry.name_at = path_.size();
  path_ += level.names.name(index);
  if (path_.size() >= PATH_MAX) throw Error(ErrorCode::unsupported, "path longer than 4095 bytes: " + path_);
  entry.path = path_;
  entry.parent = dir_of(level);
  entry.self = nullptr;
  entry.d_type = level.names.d_type(index);
  if (entry.d_type == DT_UNKNOWN) entry.d_type = type_of(entry.parent->get(), entry);
  if (entry.d_type == DT_DIR) {
    entry.self = open_child(entry.parent->get(), entry);
    enter(entry.self);
  }
  return true;
}

}  // namespace cbuild::oci::layer
