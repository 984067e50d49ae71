// SPDX-License-Identifier: Apache-2.0
// A result should appear whole or not at all, which only a rename gives; but a rename replaces whatever stood there:
// the node of a device, a FIFO with its reader, a link, the mode of a file. So the place is looked at first: nothing
// and plain files are renamed onto, with the old file's attributes; through everything else is written. Where the
// kernel refuses the rename (a mount point, a sticky directory) the finished file is copied into the old one.
#include "base/output_file.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "base/disk_space.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/sys_detail.h"
#include "base/text.h"
#include "base/writeback.h"

namespace cbuild {
namespace {

constexpr int kMostLinks = 40;  // as the kernel
constexpr int kReaderPollMs = 20;
constexpr mode_t kKeptBits = 01777;  // a write takes setuid and setgid away, too

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// `place` is a path on the disk in question.
[[noreturn]] void fail(int err, std::string_view call, const std::string& path, const std::string& place) {
  try {
    throw_errno(err, cat(call, " ", path));
  } catch (Error& error) {
    name_full_disk(error, path, place);
    throw;
  }
}

[[noreturn]] void fail(int err, std::string_view call, const std::string& path) {
  fail(err, call, path, directory_of(path));
}

/// The number in "/dev/fd/N", whatever leads there.
std::optional<int> descriptor_number(const std::string& path) {
  const auto number = parse_int(name_of(path));
  if (!number || *number < 0 || *number > 1 << 20) return std::nullopt;
  const auto own = sys::try_open_at(AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY);
  const auto there = sys::try_stat_at(AT_FDCWD, directory_of(path), 0);
  if (!own || !there) return std::nullopt;
  const struct stat st = sys::stat_fd(own->get());
  if (st.st_dev != there->st_dev || st.st_ino != there->st_ino) return std::nullopt;
  return static_cast<int>(*number);
}

void wait_until_writable(int fd, const CancelSource* cancel) {
  std::array<pollfd, 2> ends = {pollfd{fd, POLLOUT, 0}, pollfd{cancel != nullptr ? cancel->event_fd() : -1, POLLIN, 0}};
  ::poll(ends.data(), ends.size(), -1);
  if (cancel != nullptr) cancel->check();
}

bool is_same(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

}  // namespace

OutputFile::OutputFile(const std::string& path, mode_t mode, const CancelSource* cancel)
    : path_(path), target_(path), cancel_(cancel) {
  if (const auto number = follow_links())
    take_descriptor(*number);
  else
    open_place(mode);
}

/// Links in the last part are followed here, one by one, because a rename does not follow them. The number of an
/// inherited descriptor where they lead to one.
std::optional<int> OutputFile::follow_links() {
  for (int links = 0; links <= kMostLinks; ++links) {
    if (const auto number = descriptor_number(target_)) return number;
    const auto st = sys::try_stat_at(AT_FDCWD, target_);
    if (!st || !S_ISLNK(st->st_mode)) return std::nullopt;
    const std::string next = sys::readlink_at(AT_FDCWD, target_);
    target_ = next.starts_with('/') ? next : cat(target_.substr(0, target_.rfind('/') + 1), next);
  }
  fail(ELOOP, "open", path_);
}

OutputFile::OutputFile(int descriptor, std::string shown, const CancelSource* cancel)
    : path_(std::move(shown)), cancel_(cancel) {
  take_descriptor(descriptor);
}

OutputFile OutputFile::standard_output(const CancelSource* cancel) {
  return OutputFile(STDOUT_FILENO, "standard output", cancel);
}

OutputFile::~OutputFile() { drop_temporary(); }

void OutputFile::drop_temporary() noexcept {
  if (!temporary_.empty()) ::unlinkat(directory_.get(), temporary_.c_str(), 0);
  temporary_.clear();
}

/// Writes to a descriptor that a parent gave us. Our own are closed on exec, which tells them apart: nobody means
/// those.
void OutputFile::take_descriptor(int number) {
  const int flags = ::fcntl(number, F_GETFD);
  if (flags < 0 || (flags & FD_CLOEXEC) != 0) fail(EBADF, "open", path_);
  struct stat st {};
  // A pipe is opened once more: our end can then wait for its reader and for `cancel_` at once.
  if (::fstat(number, &st) == 0 && S_ISFIFO(st.st_mode))
    file_.reset(::open(sys::fd_path(number).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file_) file_.reset(::fcntl(number, F_DUPFD_CLOEXEC, 0));
  if (!file_) fail(errno, "open", path_);
}

void OutputFile::open_place(mode_t mode) {
  const auto existing = sys::try_stat_at(AT_FDCWD, path_, 0);
  if (!existing) {
    if (!sys::try_stat_at(AT_FDCWD, directory_of(target_), 0)) sys::mkdir_all(AT_FDCWD, directory_of(target_), 0755);
    if (!stage(nullptr, mode)) fail(errno, "create", path_, directory_of(target_));
    return;
  }
  if (S_ISDIR(existing->st_mode)) throw Error(ErrorCode::io, cat(path_, " is a directory"));
  // A link of /proc leads to a file that its text need not name.
  const auto reached = sys::try_stat_at(AT_FDCWD, target_);
  const bool plain = S_ISREG(existing->st_mode) && reached && is_same(*existing, *reached);
  if (plain && ::faccessat(AT_FDCWD, path_.c_str(), W_OK, AT_EACCESS) != 0) fail(errno, "open", path_);
  if (!plain || !stage(&*existing, mode)) open_through(*existing);
}

/// False, with errno, where no file can be made next to the place, or none like the old one.
bool OutputFile::stage(const struct stat* existing, mode_t mode) {
  directory_.reset(::open(directory_of(target_).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory_) return false;
  std::string name = cat(".cbuild-", random_hex(), ".part");
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  file_.reset(::openat(directory_.get(), name.c_str(), kFlags, existing != nullptr ? 0600 : mode));
  if (!file_) return false;
  temporary_ = std::move(name);
  if (existing == nullptr || keep_attributes(*existing)) return true;
  file_.reset();
  drop_temporary();
  return false;
}

bool OutputFile::keep_attributes(const struct stat& existing) {
  const struct stat now = sys::stat_fd(file_.get());
  const bool owned = now.st_uid == existing.st_uid && now.st_gid == existing.st_gid;
  if (!owned && ::fchown(file_.get(), existing.st_uid, existing.st_gid) != 0) return false;
  if (::fchmod(file_.get(), existing.st_mode & kKeptBits) != 0) return false;
  const UniqueFd old(::open(target_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!old) return true;
  for (const sys::Xattr& xattr : sys::list_xattrs(old.get()))
    if (!xattr.name.starts_with("security.")) sys::set_xattr_at(directory_.get(), temporary_, xattr);
  return true;
}

void OutputFile::open_through(const struct stat& existing) {
  const int flags = O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | (S_ISREG(existing.st_mode) ? O_TRUNC : 0);
  for (;;) {
    file_.reset(::open(path_.c_str(), flags));
    if (file_) return;
    const int err = errno;
    if (err != EINTR && !(err == ENXIO && S_ISFIFO(existing.st_mode))) fail(err, "open", path_);
    if (cancel_ != nullptr) cancel_->check();
    ::poll(nullptr, 0, kReaderPollMs);  // a FIFO without a reader
  }
}

void OutputFile::write(std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t size = ::write(file_.get(), data.data(), data.size());
    const int err = errno;
    if (size >= 0) {
      data = data.subspan(static_cast<std::size_t>(size));
    } else if (err == EAGAIN) {
      wait_until_writable(file_.get(), cancel_);
    } else if (err != EINTR) {
      fail(err, "write", path_, sys::fd_path(file_.get()));
    }
  }
}

/// How much of the range was copied; 0 where the kernel cannot.
std::uint64_t OutputFile::copy_in_kernel(int from, std::uint64_t begin, std::uint64_t end) {
  constexpr std::uint64_t kChunk = 16u << 20;
  for (;;) {
    off_t at = static_cast<off_t>(begin);
    const ssize_t done =
        ::copy_file_range(from, &at, file_.get(), nullptr, static_cast<std::size_t>(std::min(end - begin, kChunk)), 0);
    const int err = errno;
    if (done < 0 && err == EINTR) continue;
    if (done < 0 && (err == ENOSPC || err == EDQUOT || err == EIO || err == EFBIG))
      fail(err, "write", path_, sys::fd_path(file_.get()));
    if (done <= 0) return 0;
    if (const off_t written = ::lseek(file_.get(), 0, SEEK_CUR); written >= done)
      sys::start_writeback(file_.get(), written - done, done);
    return static_cast<std::uint64_t>(done);
  }
}

void OutputFile::write_file(int from, std::uint64_t size, const std::function<void(std::uint64_t)>& written) {
  std::vector<std::byte> buffer;
  for (std::uint64_t at = 0; at < size;) {
    if (cancel_ != nullptr) cancel_->check();
    std::uint64_t done = buffer.empty() ? copy_in_kernel(from, at, size) : 0;
    if (done == 0) {
      buffer.resize(1u << 20);
      const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), size - at);
      const ssize_t got = ::pread(from, buffer.data(), wanted, static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw_errno(errno, "read");
      if (got == 0) throw Error(ErrorCode::corrupt, cat("a file is shorter than ", size, " bytes"));
      done = static_cast<std::uint64_t>(got);
      write(std::span(buffer).first(done));
    }
    at += done;
    if (written) written(done);
  }
}

void OutputFile::close() {
  try {
    file_.close_checked();
  } catch (const Error& error) {
    fail(error.sys_errno(), "write", path_);
  }
}

void OutputFile::publish() {
  close();
  if (temporary_.empty()) return;
  if (::renameat(directory_.get(), temporary_.c_str(), directory_.get(), name_of(target_).c_str()) == 0) {
    temporary_.clear();
    return;
  }
  if (errno != EBUSY && errno != EPERM && errno != EACCES) fail(errno, "rename to", path_);
  copy_through();
}

void OutputFile::copy_through() {
  const UniqueFd whole = sys::open_at(directory_.get(), temporary_, O_RDONLY | O_NOFOLLOW);
  file_.reset(::open(path_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!file_) fail(errno, "open", path_);
  try {
    sys::copy_file_data(whole.get(), file_.get(), static_cast<std::uint64_t>(sys::stat_fd(whole.get()).st_size));
  } catch (const Error& error) {
    fail(error.sys_errno(), "write", path_, path_);
  }
  close();
  drop_temporary();
}

void write_output_file(const std::string& path, std::string_view text, mode_t mode) {
  OutputFile file(path, mode);
  file.write(text);
  file.publish();
}

void name_full_disk(Error& error, const std::string& shown, const std::string& path) {
  if (error.code() != ErrorCode::no_space) return;
  const std::string space = free_space(path);
  error.with_hint(cat(shown, " is on the disk mounted at ", mount_point(path),
                      space.empty() ? "" : cat(" (", space, ")"), "; make room there or name another place"));
}

}  // namespace cbuild
