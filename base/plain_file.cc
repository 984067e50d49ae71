// SPDX-License-Identifier: Apache-2.0
#include "base/plain_file.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::sys {

namespace {

constexpr int kWriterTimeoutMs = 5000;

bool is_null_device(const struct stat& st) { return S_ISCHR(st.st_mode) && st.st_rdev == ::makedev(1, 3); }

/// -1 for `timeout_ms` waits as long as it takes. False when the time is over.
bool wait_for_data(int fd, int timeout_ms, const std::string& path) {
  pollfd polled{fd, POLLIN, 0};
  const int ready = ::poll(&polled, 1, timeout_ms);
  if (ready >= 0) return ready > 0;
  const int err = errno;
  if (err == EINTR) throw Error(ErrorCode::cancelled, cat(path, ": interrupted while it was read"));
  throw_errno(err, path);
}

/// Without a writer a FIFO reads as empty, and poll(2) reports nothing until the first one has come.
std::string read_pipe(int fd, std::size_t limit, const std::string& path) {
  const bool silent = !wait_for_data(fd, kWriterTimeoutMs, path);
  std::string out;
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    const int err = errno;
    if (size == 0 && silent && out.empty())
      throw Error(ErrorCode::input, cat(path, " is a FIFO that nobody writes to"));
    if (size == 0) return out;
    if (size > 0) {
      out.append(buffer.data(), static_cast<std::size_t>(size));
      if (out.size() > limit) throw Error(ErrorCode::input, cat(path, ": larger than the limit of ", limit, " bytes"));
    } else if (err == EAGAIN) {
      wait_for_data(fd, -1, path);
    } else if (err != EINTR) {
      throw_errno(err, path);
    }
  }
}

}  // namespace

std::string_view file_kind(unsigned mode) {
  if (S_ISDIR(mode)) return "directory";
  if (S_ISFIFO(mode)) return "FIFO";
  if (S_ISSOCK(mode)) return "socket";
  if (S_ISLNK(mode)) return "symbolic link";
  return S_ISCHR(mode) || S_ISBLK(mode) ? "device" : "special file";
}

void check_is_plain(unsigned mode, const std::string& path) {
  if (!S_ISREG(mode)) throw Error(ErrorCode::input, cat(path, " is a ", file_kind(mode), ", not a file"));
}

std::optional<std::string> try_read_plain(int dirfd, const std::string& path, std::size_t limit, Pipes pipes) {
  // Opening a device can already do something to it.
  const auto seen = try_stat_at(dirfd, path, 0);
  if (!seen) return std::nullopt;
  if (is_null_device(*seen)) return std::string();
  const bool stream = pipes == Pipes::taken && S_ISFIFO(seen->st_mode);
  const bool terminal = pipes == Pipes::taken && S_ISCHR(seen->st_mode);
  if (!stream && !terminal) check_is_plain(seen->st_mode, path);
  const auto fd = try_open_at(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd) return std::nullopt;
  const struct stat st = stat_fd(fd->get());
  if (stream && S_ISFIFO(st.st_mode)) return read_pipe(fd->get(), limit, path);
  if (terminal && ::isatty(fd->get()) == 1) return read_pipe(fd->get(), limit, path);
  check_is_plain(st.st_mode, path);
  try {
    return read_all(fd->get(), limit);
  } catch (Error& error) {
    error.add_context(path);
    throw;
  }
}

}  // namespace cbuild::sys
