// SPDX-License-Identifier: Apache-2.0
// Opening names that come from outside. The kernel does it (openat2); where it cannot, walk() keeps a stack of the
// directories passed, so that ".." is a step back on the stack and never asks a directory for its parent.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/error.h"
#include "base/sys.h"
#include "base/sys_detail.h"
#include "base/text.h"

namespace cbuild::sys {

namespace {

constexpr int kMaxLinks = 40;    // as the kernel's MAXSYMLINKS
constexpr int kMaxRetries = 64;  // EAGAIN repeats as long as somebody renames directories
constexpr std::uint64_t kInRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
constexpr std::uint64_t kBeneath = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;

/// Names still to be walked, the next one last.
class Pending {
 public:
  void push(std::string_view path) {
    std::vector<std::string> parts = split(path, '/');
    // "a/" and "a/." ask for a directory.
    directory_ |= names_.empty() && (path.ends_with('/') || parts.back() == ".");
    for (auto part = parts.rbegin(); part != parts.rend(); ++part)
      if (!part->empty() && *part != ".") names_.push_back(std::move(*part));
  }
  bool empty() const { return names_.empty(); }
  bool directory() const { return directory_; }
  std::string pop() {
    std::string name = std::move(names_.back());
    names_.pop_back();
    return name;
  }

 private:
  std::vector<std::string> names_;
  bool directory_ = false;
};

class Walk {
 public:
  Walk(int rootfd, int flags, detail::Escape escape) : rootfd_(rootfd), flags_(flags | O_CLOEXEC), escape_(escape) {}

  int run(const std::string& path) {
    if (path.empty()) return fail(ENOENT);
    if (!enter(path)) return -1;
    while (!pending_.empty()) {
      const std::string name = pending_.pop();
      if (name == "..") {
        if (!step_back()) return -1;
        continue;
      }
      const bool last = pending_.empty();
      int fd = ::openat(current(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
      if (fd < 0) return -1;
      UniqueFd opened(fd);
      struct stat st;
      if (::fstat(fd, &st) != 0) return -1;
      const bool follow = !last || pending_.directory() || (flags_ & O_NOFOLLOW) == 0;
      if (S_ISLNK(st.st_mode) && follow) {
        if (++links_ > kMaxLinks) return fail(ELOOP);
        if (!enter(readlink_at(fd, ""))) return -1;
        continue;
      }
      if (last) return open_last(name, st.st_mode);
      if (!S_ISDIR(st.st_mode)) return fail(ENOTDIR);
      stack_.push_back(std::move(opened));
    }
    return ::openat(current(), ".", flags_);
  }

 private:
  static int fail(int err) {
    errno = err;
    return -1;
  }
  int current() const { return stack_.empty() ? rootfd_ : stack_.back().get(); }

  bool enter(const std::string& path) {
    if (path.starts_with('/')) {
      if (escape_ == detail::Escape::refuse) return fail(EXDEV) == 0;
      stack_.clear();
    }
    pending_.push(path);
    return true;
  }
  bool step_back() {
    if (!stack_.empty())
      stack_.pop_back();
    else if (escape_ == detail::Escape::refuse)
      return fail(EXDEV) == 0;
    return true;
  }
  int open_last(const std::string& name, mode_t mode) {
    if (pending_.directory() && !S_ISDIR(mode)) return fail(ENOTDIR);
    // NOFOLLOW: somebody may have put a link there since.
    return detail::retry([&] { return ::openat(current(), name.c_str(), flags_ | O_NOFOLLOW); });
  }

  int rootfd_, flags_;
  detail::Escape escape_;
  Pending pending_;
  std::vector<UniqueFd> stack_;
  int links_ = 0;
};

int open_resolved(int dirfd, const std::string& path, int flags, std::uint64_t resolve, detail::Escape escape) {
  CBUILD_CHECK((flags & O_CREAT) == 0 && (flags & O_TMPFILE) != O_TMPFILE);
  const int fd = detail::openat2(dirfd, path.c_str(), flags, resolve);
  // The kernel gives up with EAGAIN while somebody keeps renaming directories; the walk does not mind.
  if (fd >= 0 || (errno != ENOSYS && errno != EAGAIN)) return fd;
  return detail::walk(dirfd, path, flags, escape);
}

}  // namespace

namespace detail {

int openat2(int dirfd, const char* path, int flags, std::uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = resolve;
  for (int attempt = 0;; ++attempt) {
    const long fd = ::syscall(SYS_openat2, dirfd, path, &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    // With RESOLVE_IN_ROOT nothing leads out, unless a directory was moved out while the kernel walked through it.
    const bool moved = errno == EAGAIN || (errno == EXDEV && (resolve & RESOLVE_IN_ROOT) != 0);
    if (errno != EINTR && (!moved || attempt >= kMaxRetries)) return -1;
  }
}

int walk(int rootfd, const std::string& path, int flags, Escape escape) {
  return Walk(rootfd, flags, escape).run(path);
}

}  // namespace detail

UniqueFd open_in_root(int rootfd, const std::string& path, int flags) {
  const int fd = open_resolved(rootfd, path, flags, kInRoot, detail::Escape::contain);
  if (fd < 0) throw_errno(errno, cat("open ", path));
  return UniqueFd(fd);
}

std::optional<UniqueFd> try_open_in_root(int rootfd, const std::string& path, int flags) {
  const int fd = open_resolved(rootfd, path, flags, kInRoot, detail::Escape::contain);
  if (fd >= 0) return UniqueFd(fd);
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw_errno(errno, cat("open ", path));
}

UniqueFd open_beneath(int dirfd, const std::string& path, int flags) {
  const int fd = open_resolved(dirfd, path, flags, kBeneath, detail::Escape::refuse);
  if (fd < 0) throw_errno(errno, cat("open ", path));
  return UniqueFd(fd);
}

}  // namespace cbuild::sys
