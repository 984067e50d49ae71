// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"

namespace cbuild {

/// Runs a function at scope end unless dismissed. The function must not throw.
class ScopeExit {
 public:
  explicit ScopeExit(std::function<void()> fn) : fn_(std::move(fn)) {}
  ScopeExit(const ScopeExit&) = delete;
  ScopeExit& operator=(const ScopeExit&) = delete;
  ~ScopeExit() {
    if (fn_) fn_();
  }
  void dismiss() { fn_ = nullptr; }

 private:
  std::function<void()> fn_;
};

/// A fresh directory below `parent_fd`, named by random hex, removed with all it holds unless keep() was called.
class TempDir {
 public:
  /// Below an open directory (mode 0700).
  TempDir(int parent_fd, const std::string& prefix);
  /// Below $TMPDIR or /tmp; for tests and tools.
  static TempDir in_tmp(const std::string& prefix);
  TempDir(TempDir&&) noexcept;
  TempDir& operator=(TempDir&&) noexcept;
  ~TempDir();

  int fd() const { return dir_.get(); }
  /// Name relative to the parent descriptor.
  const std::string& name() const { return name_; }
  /// Absolute path at creation time (by readlink of the descriptor).
  std::string path() const;
  /// The caller has renamed or wants to keep it.
  void keep() { armed_ = false; }

 private:
  UniqueFd parent_, dir_;
  std::string name_;
  bool armed_ = true;
};

/// A flock(2) lock on a file that is created if missing; dies with its holder, also on kill -9. The lock file itself is
/// never removed while locked by others.
class FileLock {
 public:
  enum class Mode { shared, exclusive };
  /// nullopt if another process (or another FileLock of this one) holds it.
  static std::optional<FileLock> try_lock(int dirfd, const std::string& name, Mode mode);
  /// Waits. Polls a cancelled() predicate, if given, at least every 50 ms and returns nullopt when it says true.
  static std::optional<FileLock> wait(int dirfd, const std::string& name, Mode mode,
                                      const std::function<bool()>& cancelled = nullptr);
  /// An exclusive lock on one byte of the file (fcntl F_OFD_SETLK), which need not have that many: any number of locks
  /// with one file, and none to create and remove. `offset` < 2^63. Does not mix with the whole-file locks above.
  static std::optional<FileLock> try_lock_byte(int dirfd, const std::string& name, std::uint64_t offset);
  static std::optional<FileLock> wait_byte(int dirfd, const std::string& name, std::uint64_t offset,
                                           const std::function<bool()>& cancelled = nullptr);
  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(UniqueFd fd, std::optional<std::uint64_t> offset = std::nullopt)
      : fd_(std::move(fd)), offset_(offset) {}
  void release() noexcept;
  UniqueFd fd_;
  std::optional<std::uint64_t> offset_;  ///< of a byte lock
};

}  // namespace cbuild
