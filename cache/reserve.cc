// SPDX-License-Identifier: Apache-2.0
#include "cache/reserve.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

namespace {

constexpr std::uint64_t kShortBytes = 4u << 20, kShortInodes = 64;

std::string file_name(unsigned number) { return cat("reserve/", number); }

std::uint64_t free_bytes(const struct statvfs& disk) { return std::uint64_t{disk.f_bavail} * disk.f_frsize; }

bool is_short(int root_fd) {
  struct statvfs disk {};
  if (::fstatvfs(root_fd, &disk) != 0) return false;
  return free_bytes(disk) < kShortBytes || (disk.f_files != 0 && disk.f_favail < kShortInodes);
}

/// False if the disk has no room for it.
bool set_aside(int root_fd, const std::string& name, std::uint64_t spare_bytes) {
  if (sys::try_stat_at(root_fd, name)) return true;
  struct statvfs disk {};
  if (::fstatvfs(root_fd, &disk) != 0 || free_bytes(disk) < spare_bytes + kReserveFileBytes) return false;
  const UniqueFd file = sys::open_at(root_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (::posix_fallocate(file.get(), 0, kReserveFileBytes) == 0) return true;
  ::unlinkat(root_fd, name.c_str(), 0);
  return false;
}

}  // namespace

void keep_reserve(int root_fd, std::uint64_t spare_bytes) noexcept {
  try {
    sys::mkdir_all(root_fd, "reserve", 0700);
    for (unsigned i = 0; i < kReserveFiles && set_aside(root_fd, file_name(i), spare_bytes); ++i) {
    }
  } catch (const Error&) {
    // Another process was faster, or the disk is full already.
  }
}

void use_reserve(int root_fd) noexcept {
  try {
    if (!is_short(root_fd)) return;
    for (unsigned i = 0; i < kReserveFiles; ++i) ::unlinkat(root_fd, file_name(i).c_str(), 0);
  } catch (const Error&) {
  }
}

bool unless_full(const std::function<void()>& work) {
  try {
    work();
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::no_space) throw;
    return false;
  }
}

void with_room(Store::Impl& store, const std::function<void()>& work) {
  if (unless_full(work)) return;
  const int scans = store.dir(Dir::scans);
  for (const std::string& name : sys::list_dir(scans)) sys::remove_all_at(scans, name);
  store.index.read([](Database& db) { db.reuse_log(); });
  work();
}

}  // namespace cbuild::cache
