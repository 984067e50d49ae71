// SPDX-License-Identifier: Apache-2.0
#include "cache/tree_blocks.h"

#include <fcntl.h>

#include <algorithm>
#include <set>

#include "base/sys.h"

namespace cbuild::cache {

namespace {

void add_blocks(int dirfd, std::set<ino_t>& seen, std::uint64_t& bytes) {
  for (const std::string& name : sys::list_dir(dirfd)) {
    const auto st = sys::try_stat_at(dirfd, name);
    if (!st || (st->st_nlink > 1 && !S_ISDIR(st->st_mode) && !seen.insert(st->st_ino).second)) continue;
    bytes += static_cast<std::uint64_t>(st->st_blocks) * 512;
    if (!S_ISDIR(st->st_mode)) continue;
    if (const auto dir = sys::try_open_at(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
      add_blocks(dir->get(), seen, bytes);
  }
}

}  // namespace

std::uint64_t tree_blocks(int dirfd, const std::string& name) {
  std::uint64_t bytes = 0;
  std::set<ino_t> seen;
  const auto st = sys::try_stat_at(dirfd, name);
  if (!st) return 0;
  bytes += static_cast<std::uint64_t>(st->st_blocks) * 512;
  if (const auto dir = sys::try_open_at(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
    add_blocks(dir->get(), seen, bytes);
  return bytes;
}

std::uint64_t shared_blocks(int dirfd, const std::string& name) {
  const auto dir = sys::try_open_at(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return 0;
  std::uint64_t bytes = static_cast<std::uint64_t>(sys::stat_fd(dir->get()).st_blocks) * 512;
  for (const std::string& file : sys::list_dir(dir->get())) {
    const auto st = sys::try_stat_at(dir->get(), file);
    if (!st || S_ISDIR(st->st_mode)) continue;
    bytes += static_cast<std::uint64_t>(st->st_blocks) * 512 / std::max<std::uint64_t>(st->st_nlink, 1);
  }
  return bytes;
}

}  // namespace cbuild::cache
