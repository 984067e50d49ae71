// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

namespace cbuild {

/// Owns one file descriptor. Move-only; safe on self-move; the destructor closes and never throws.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  /// Takes ownership of `fd`; a negative value means "none".
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd();

  /// The descriptor, still owned by this object; -1 if none.
  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the descriptor up to the caller.
  int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes now; ignores errors. After writing use close_checked().
  void reset(int fd = -1) noexcept;
  /// Closes and throws Error{io} when close(2) reports that written data was lost.
  void close_checked();

 private:
  int fd_ = -1;
};

}  // namespace cbuild
