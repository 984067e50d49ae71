// SPDX-License-Identifier: Apache-2.0
// The thin layer over system calls on contents: reading with limits, writing everything, replacing a file by a rename,
// clocks. Directories are read by getdents64 into a buffer of our own, without a DIR that would need a descriptor of
// its own. Names and metadata are in sys_file.cc.
#include <dirent.h>
#include <limits.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/plain_file.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/sys_detail.h"
#include "base/text.h"

namespace cbuild::sys {

namespace {

constexpr std::size_t kDirBufferSize = 32u << 10;
constexpr std::size_t kFirstRead = 64u << 10;

std::int64_t clock_ns(clockid_t clock) {
  timespec now;
  CBUILD_CHECK(::clock_gettime(clock, &now) == 0);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// The kernel's record of getdents64; glibc's struct dirent64 has the same layout with a fixed name size.
struct RawEntry {
  std::uint64_t inode;
  std::int64_t offset;
  std::uint16_t size;
  unsigned char type;
};
constexpr std::size_t kNameOffset = offsetof(RawEntry, type) + 1;

}  // namespace

namespace detail {

DirReader::DirReader(int fd) : fd_(fd), buffer_(std::make_unique_for_overwrite<std::byte[]>(kDirBufferSize)) {}

const DirEntry* DirReader::next() {
  for (;;) {
    if (at_ == end_) {
      const long size = ::syscall(SYS_getdents64, fd_, buffer_.get(), kDirBufferSize);
      if (size < 0) throw_errno(errno, "getdents64");
      if (size == 0) return nullptr;
      at_ = 0;
      end_ = static_cast<std::size_t>(size);
    }
    RawEntry raw;
    std::memcpy(&raw, buffer_.get() + at_, kNameOffset);
    entry_ = {reinterpret_cast<const char*>(buffer_.get() + at_ + kNameOffset), raw.type};
    at_ += raw.size;
    if (std::strcmp(entry_.name, ".") != 0 && std::strcmp(entry_.name, "..") != 0) return &entry_;
  }
}

}  // namespace detail

std::size_t read_some(int fd, std::span<std::byte> buffer) {
  const ssize_t size = detail::retry([&] { return ::read(fd, buffer.data(), buffer.size()); });
  if (size < 0) throw_errno(errno, "read");
  return static_cast<std::size_t>(size);
}

std::string read_all(int fd, std::size_t limit) {
  struct stat st;
  const bool sized = ::fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
  std::string out;
  // One byte more than the file holds, so that its end is seen without growing.
  std::size_t room = sized ? static_cast<std::size_t>(st.st_size) + 1 : kFirstRead;
  std::size_t size = 0;
  for (;;) {
    if (size == out.size()) {
      out.resize(std::min(out.size() + room, limit < SIZE_MAX ? limit + 1 : limit));
      room = out.size();
    }
    const std::size_t count = read_some(fd, std::as_writable_bytes(std::span(out).subspan(size)));
    size += count;
    if (size > limit) throw Error(ErrorCode::input, cat("larger than the limit of ", limit, " bytes"));
    if (count == 0) break;
  }
  out.resize(size);
  return out;
}

std::string read_file_at(int dirfd, const std::string& path, std::size_t limit) {
  if (auto text = try_read_plain(dirfd, path, limit)) return std::move(*text);
  throw_errno(ENOENT, path);
}

namespace {

/// Names the file where it is the file's own size that is refused.
[[noreturn]] void fail_write(int err, int fd, std::string_view call) {
  std::array<char, PATH_MAX> name;
  const ssize_t size = err == EFBIG ? ::readlink(fd_path(fd).c_str(), name.data(), name.size()) : -1;
  if (size <= 0) throw_errno(err, call);
  throw_errno(err, cat(call, " ", std::string_view(name.data(), static_cast<std::size_t>(size))));
}

}  // namespace

void write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t size = detail::retry([&] { return ::write(fd, data.data(), data.size()); });
    if (size < 0) fail_write(errno, fd, "write");
    data.remove_prefix(static_cast<std::size_t>(size));
  }
}

std::size_t pread_all(int fd, std::span<std::byte> bytes, std::uint64_t offset, const std::string& what) {
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const auto rest = bytes.subspan(filled);
    const ssize_t size =
        detail::retry([&] { return ::pread(fd, rest.data(), rest.size(), static_cast<off_t>(offset + filled)); });
    if (size < 0) throw_errno(errno, what);
    if (size == 0) break;
    filled += static_cast<std::size_t>(size);
  }
  return filled;
}

void pwrite_all(int fd, std::string_view data, off_t offset) {
  while (!data.empty()) {
    const ssize_t size = detail::retry([&] { return ::pwrite(fd, data.data(), data.size(), offset); });
    if (size < 0) fail_write(errno, fd, "pwrite");
    data.remove_prefix(static_cast<std::size_t>(size));
    offset += size;
  }
}

void write_file_at(int dirfd, const std::string& path, std::string_view data, mode_t mode) {
  const std::string temp = cat(path.substr(0, path.rfind('/') + 1), ".tmp-", random_hex());
  UniqueFd fd = open_at(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  ScopeExit remove([&] { ::unlinkat(dirfd, temp.c_str(), 0); });
  try {
    write_all(fd.get(), data);
    fd.close_checked();
  } catch (Error& error) {
    error.add_context(path);
    throw;
  }
  rename_at(dirfd, temp, dirfd, path);
  remove.dismiss();
}

std::int64_t now_ns() { return clock_ns(CLOCK_REALTIME); }
std::int64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }

const std::string& boot_id() {
  static const std::string id(trim(read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 256)));
  return id;
}

}  // namespace cbuild::sys
