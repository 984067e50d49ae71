// SPDX-License-Identifier: Apache-2.0
// Temporary directories that remove themselves, and locks between processes. A lock is a flock on a named file, or an
// open-file-description lock on one byte of it: the kernel releases both however the holder ends. Other processes may
// unlink the file meanwhile, so a flock counts only if the name still leads to the locked file. A wait that can be
// cancelled polls, because no system call waits for a lock and for a predicate.
#include "base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/sys_detail.h"
#include "base/text.h"

namespace cbuild {

namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstPoll{1}, kLongestPoll{25};

/// The lock file, held open. Whether the name still leads to it is known only once it is locked.
UniqueFd open_lock_file(int dirfd, const std::string& name) {
  return sys::open_at(dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
}

/// Whoever cleans up may unlink the file between our open and our lock: such a lock excludes nobody.
bool still_named(int fd, int dirfd, const std::string& name) {
  const struct stat held = sys::stat_fd(fd);
  const auto named = sys::try_stat_at(dirfd, name);
  return named && named->st_ino == held.st_ino && named->st_dev == held.st_dev;
}

int operation(FileLock::Mode mode) { return mode == FileLock::Mode::shared ? LOCK_SH : LOCK_EX; }

/// nullopt if another holds it and LOCK_NB is set.
std::optional<UniqueFd> lock_file(int dirfd, const std::string& name, int op) {
  for (;;) {
    UniqueFd fd = open_lock_file(dirfd, name);
    if (sys::detail::retry([&] { return ::flock(fd.get(), op); }) != 0) {
      if (errno == EWOULDBLOCK) return std::nullopt;
      throw_errno(errno, cat("lock ", name));
    }
    if (still_named(fd.get(), dirfd, name)) return fd;
  }
}

struct flock byte_request(short type, std::uint64_t offset) {
  struct flock request {};
  request.l_type = type;
  request.l_whence = SEEK_SET;
  request.l_start = static_cast<off_t>(offset);
  request.l_len = 1;
  return request;
}

/// Asks again and again, less and less often, since no call waits for a lock and for a predicate.
template <typename Try>
std::optional<FileLock> poll_lock(const std::function<bool()>& cancelled, Try&& attempt) {
  for (milliseconds pause = kFirstPoll;; pause = std::min(2 * pause, kLongestPoll)) {
    if (cancelled && cancelled()) return std::nullopt;
    if (auto lock = attempt()) return lock;
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace

TempDir::TempDir(int parent_fd, const std::string& prefix)
    : parent_(sys::open_at(parent_fd, ".", O_PATH | O_DIRECTORY)) {
  do {
    name_ = prefix + random_hex();
  } while (!sys::mkdir_at(parent_.get(), name_, 0700));
  try {
    dir_ = sys::open_at(parent_.get(), name_, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (...) {
    ::unlinkat(parent_.get(), name_.c_str(), AT_REMOVEDIR);
    throw;
  }
}

TempDir TempDir::in_tmp(const std::string& prefix) {
  const char* base = std::getenv("TMPDIR");
  const UniqueFd parent =
      sys::open_at(AT_FDCWD, base != nullptr && *base != '\0' ? base : "/tmp", O_PATH | O_DIRECTORY);
  return TempDir(parent.get(), prefix);
}

TempDir::TempDir(TempDir&& other) noexcept
    : parent_(std::move(other.parent_)),
      dir_(std::move(other.dir_)),
      name_(std::move(other.name_)),
      armed_(std::exchange(other.armed_, false)) {}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  if (this != &other) {
    TempDir old(std::move(*this));
    parent_ = std::move(other.parent_);
    dir_ = std::move(other.dir_);
    name_ = std::move(other.name_);
    armed_ = std::exchange(other.armed_, false);
  }
  return *this;
}

TempDir::~TempDir() {
  if (!armed_ || !parent_) return;
  dir_.reset();
  try {
    sys::remove_all_at(parent_.get(), name_);
  } catch (...) {
    // The rest is named as temporary and a destructor cannot report.
  }
}

std::string TempDir::path() const { return sys::readlink_at(AT_FDCWD, sys::fd_path(dir_.get())); }

std::optional<FileLock> FileLock::try_lock(int dirfd, const std::string& name, Mode mode) {
  std::optional<UniqueFd> fd = lock_file(dirfd, name, operation(mode) | LOCK_NB);
  if (!fd) return std::nullopt;
  return FileLock(std::move(*fd));
}

std::optional<FileLock> FileLock::wait(int dirfd, const std::string& name, Mode mode,
                                       const std::function<bool()>& cancelled) {
  if (!cancelled) return FileLock(std::move(*lock_file(dirfd, name, operation(mode))));
  return poll_lock(cancelled, [&] { return try_lock(dirfd, name, mode); });
}

std::optional<FileLock> FileLock::try_lock_byte(int dirfd, const std::string& name, std::uint64_t offset) {
  UniqueFd fd = open_lock_file(dirfd, name);
  struct flock request = byte_request(F_WRLCK, offset);
  if (sys::detail::retry([&] { return ::fcntl(fd.get(), F_OFD_SETLK, &request); }) == 0)
    return FileLock(std::move(fd), offset);
  if (errno == EAGAIN || errno == EACCES) return std::nullopt;
  throw_errno(errno, cat("lock ", name));
}

std::optional<FileLock> FileLock::wait_byte(int dirfd, const std::string& name, std::uint64_t offset,
                                            const std::function<bool()>& cancelled) {
  return poll_lock(cancelled, [&] { return try_lock_byte(dirfd, name, offset); });
}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  if (this != &other) {
    release();
    fd_ = std::move(other.fd_);
    offset_ = other.offset_;
  }
  return *this;
}

FileLock::~FileLock() { release(); }

// Unlocked and not only closed: a child between fork and exec holds a copy of the descriptor for a moment.
void FileLock::release() noexcept {
  if (!fd_) return;
  if (offset_) {
    struct flock request = byte_request(F_UNLCK, *offset_);
    ::fcntl(fd_.get(), F_OFD_SETLK, &request);
  } else {
    ::flock(fd_.get(), LOCK_UN);
  }
  fd_.reset();
}

}  // namespace cbuild
