// SPDX-License-Identifier: Apache-2.0
// The result replaces a plain file whole and is written through everything else; mount points and full disks are made
// with a tmpfs in a mount namespace of the test.
#include "base/output_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>

#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild {
namespace {

std::string content(const std::string& path) {
  return sys::read_all(sys::open_at(AT_FDCWD, path, O_RDONLY).get(), 1 << 20);
}

void put(const std::string& path, std::string_view text, mode_t mode = 0644) {
  sys::write_file_at(AT_FDCWD, path, text, mode);
}

struct stat status(const std::string& path) { return sys::stat_at(AT_FDCWD, path); }

/// Runs `body` with an empty tmpfs of `bytes` in a mount namespace that nobody else sees and that ends with it.
void in_private_mounts(std::uint64_t bytes, const std::function<void(const std::string& dir)>& body) {
  TempDir dir = TempDir::in_tmp("output-test-");
  std::string refused;
  std::thread([&] {
    const std::string size = cat("size=", bytes, ",mode=755");
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", dir.path().c_str(), "tmpfs", 0, size.c_str()) != 0) {
      refused = std::strerror(errno);
      return;
    }
    body(dir.path());
    ::umount2(dir.path().c_str(), MNT_DETACH);
  }).join();
  if (refused.empty()) return;
  MESSAGE("skipped, no private mounts: " << refused);
  CHECK(std::getenv("CI") == nullptr);
}

/// The bytes that come out of a pipe or FIFO while `write` runs.
std::string read_while(int fd, const std::function<void()>& write) {
  std::string out;
  std::thread reader([&] { out = sys::read_all(fd, 1 << 20); });
  write();
  reader.join();
  return out;
}

}  // namespace

TEST_CASE("a new file appears whole, with the parents it lacks") {
  const TempDir dir = TempDir::in_tmp("output-test-");
  const std::string path = dir.path() + "/a/b/file";
  {
    OutputFile file(path);
    file.write("half");
    CHECK_FALSE(sys::try_stat_at(AT_FDCWD, path));
  }
  CHECK(sys::list_dir(sys::open_at(AT_FDCWD, dir.path() + "/a/b", O_RDONLY).get()).empty());
  const mode_t mask = ::umask(027);
  write_output_file(path, "whole", 0666);
  ::umask(mask);
  CHECK(content(path) == "whole");
  CHECK((status(path).st_mode & 07777) == 0640);
}

TEST_CASE("a plain file is replaced when the new one is whole, and keeps its mode, owner and attributes") {
  const TempDir dir = TempDir::in_tmp("output-test-");
  const std::string path = dir.path() + "/file";
  put(path, "old");
  REQUIRE(::chmod(path.c_str(), 0601) == 0);
  const bool owns = ::geteuid() == 0 && ::chown(path.c_str(), 1234, 4321) == 0;
  const bool tagged = sys::set_xattr_at(dir.fd(), "file", {"user.note", "kept"});
  {
    OutputFile file(path);
    file.write("new");
  }
  CHECK(content(path) == "old");
  write_output_file(path, "new");
  CHECK(content(path) == "new");
  CHECK((status(path).st_mode & 07777) == 0601);
  if (owns) CHECK(status(path).st_uid == 1234);
  if (owns) CHECK(status(path).st_gid == 4321);
  if (tagged) CHECK(sys::list_xattrs_at(dir.fd(), "file") == std::vector<sys::Xattr>{{"user.note", "kept"}});
  CHECK(sys::list_dir(dir.fd()) == std::vector<std::string>{"file"});
}

TEST_CASE("links stay and the files they lead to are written") {
  const TempDir dir = TempDir::in_tmp("output-test-");
  const std::string at = dir.path();
  sys::mkdir_at(dir.fd(), "sub", 0755);
  put(at + "/sub/target", "old");
  REQUIRE(::symlinkat("sub/target", dir.fd(), "link") == 0);
  REQUIRE(::symlinkat("link", dir.fd(), "second") == 0);
  write_output_file(at + "/second", "new");
  CHECK(content(at + "/sub/target") == "new");
  CHECK(sys::readlink_at(dir.fd(), "second") == "link");
  CHECK(sys::readlink_at(dir.fd(), "link") == "sub/target");

  REQUIRE(::symlinkat("sub/later", dir.fd(), "dangling") == 0);
  write_output_file(at + "/dangling", "made");
  CHECK(content(at + "/sub/later") == "made");
  CHECK(sys::readlink_at(dir.fd(), "dangling") == "sub/later");

  REQUIRE(::symlinkat("loop", dir.fd(), "loop") == 0);
  CHECK_THROWS_AS(write_output_file(at + "/loop", "x"), Error);
}

TEST_CASE("a device stays a device and is written through") {
  in_private_mounts(1 << 20, [](const std::string& dir) {
    const std::string null = dir + "/null", full = dir + "/full";
    if (::mknod(null.c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0) {
      MESSAGE("skipped, no device nodes");
      CHECK(std::getenv("CI") == nullptr);
      return;
    }
    REQUIRE(::mknod(full.c_str(), S_IFCHR | 0666, makedev(1, 7)) == 0);
    write_output_file(null, "gone");
    CHECK(S_ISCHR(status(null).st_mode));
    CHECK(status(null).st_rdev == makedev(1, 3));
    REQUIRE(::symlink("null", (dir + "/link").c_str()) == 0);
    write_output_file(dir + "/link", "gone");
    CHECK(S_ISLNK(status(dir + "/link").st_mode));
    CHECK(S_ISCHR(status(null).st_mode));
    try {
      write_output_file(full, "x");
      FAIL("written to a full device");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::no_space);
      CHECK(std::string(error.what()).find(full) != std::string::npos);
      CHECK(error.hint().starts_with(full + " is on the disk mounted at " + dir));
    }
    CHECK(S_ISCHR(status(full).st_mode));
  });
}

TEST_CASE("the reader of a FIFO gets the bytes") {
  const TempDir dir = TempDir::in_tmp("output-test-");
  const std::string path = dir.path() + "/fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const std::string text(300'000, 'x');  // more than a pipe holds
  std::string got;
  std::thread reader([&] { got = content(path); });
  write_output_file(path, text);
  reader.join();
  CHECK(got == text);
  CHECK(S_ISFIFO(status(path).st_mode));
}

TEST_CASE("waiting for the reader of a FIFO ends when the work is cancelled") {
  const TempDir dir = TempDir::in_tmp("output-test-");
  const std::string path = dir.path() + "/fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CancelSource cancel;
  SUBCASE("before it opens") {
    cancel.cancel();
    CHECK_THROWS_AS(OutputFile(path, 0666, &cancel), Error);
  }
  SUBCASE("while it does not read") {
    const UniqueFd reader = sys::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    OutputFile file(path, 0666, &cancel);
    cancel.cancel();
    CHECK_THROWS_AS(file.write(std::string(1 << 20, 'x')), Error);
  }
}

TEST_CASE("an inherited descriptor is written to, one of our own is not") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd out(ends[0]);
  UniqueFd in(ends[1]);
  const std::string path = cat("/dev/fd/", in.get());
  CHECK_THROWS_AS(write_output_file(path, "x"), Error);
  UniqueFd inherited(::fcntl(in.get(), F_DUPFD, 100));
  const std::string name = cat("/dev/fd/", inherited.get());
  in.reset();
  const std::string text(300'000, 'y');
  CHECK(read_while(out.get(), [&] {
          write_output_file(name, text);
          inherited.reset();
        }) == text);
  CHECK_THROWS_AS(write_output_file(name, "x"), Error);
}

TEST_CASE("a descriptor of a plain file is written where it stands") {
  const TempDir dir = TempDir::in_tmp("output-test-");
  put(dir.path() + "/file", "");
  const UniqueFd file(::open((dir.path() + "/file").c_str(), O_WRONLY));  // not closed on exec, as from a parent
  sys::write_all(file.get(), "before ");
  write_output_file(cat("/proc/self/fd/", file.get()), "in ");
  sys::write_all(file.get(), "after");
  CHECK(content(dir.path() + "/file") == "before in after");
}

TEST_CASE("a mount point is written through") {
  in_private_mounts(1 << 20, [](const std::string& dir) {
    put(dir + "/behind", "old, and longer");
    put(dir + "/place", "");
    REQUIRE(::mount((dir + "/behind").c_str(), (dir + "/place").c_str(), nullptr, MS_BIND, nullptr) == 0);
    write_output_file(dir + "/place", "new");
    CHECK(content(dir + "/behind") == "new");
    CHECK(content(dir + "/place") == "new");
    CHECK(sys::list_dir(sys::open_at(AT_FDCWD, dir, O_RDONLY).get()) == std::vector<std::string>{"behind", "place"});
  });
}

TEST_CASE("a file in a directory that takes no new ones is written through") {
  in_private_mounts(1 << 20, [](const std::string& dir) {
    sys::mkdir_at(AT_FDCWD, dir + "/closed", 0755);
    put(dir + "/behind", "old");
    put(dir + "/closed/place", "");
    REQUIRE(::mount((dir + "/closed").c_str(), (dir + "/closed").c_str(), nullptr, MS_BIND, nullptr) == 0);
    REQUIRE(::mount((dir + "/behind").c_str(), (dir + "/closed/place").c_str(), nullptr, MS_BIND, nullptr) == 0);
    REQUIRE(::mount(nullptr, (dir + "/closed").c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0);
    write_output_file(dir + "/closed/place", "new");
    CHECK(content(dir + "/behind") == "new");
    CHECK_THROWS_AS(write_output_file(dir + "/closed/other", "new"), Error);
  });
}

TEST_CASE("a full disk leaves the old file whole and is named") {
  in_private_mounts(256 << 10, [](const std::string& dir) {
    const std::string path = dir + "/file";
    put(path, std::string(100 << 10, 'o'));
    try {
      write_output_file(path, std::string(1 << 20, 'n'));
      FAIL("written beyond the end of the disk");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::no_space);
      CHECK(std::string(error.what()) == cat("write ", path, ": No space left on device"));
      CHECK(error.hint().starts_with(cat(path, " is on the disk mounted at ", dir, " (")));
    }
    CHECK(content(path) == std::string(100 << 10, 'o'));
    CHECK(sys::list_dir(sys::open_at(AT_FDCWD, dir, O_RDONLY).get()) == std::vector<std::string>{"file"});
  });
}

TEST_CASE("a directory is refused by name") {
  const TempDir dir = TempDir::in_tmp("output-test-");
  CHECK_THROWS_WITH_AS(write_output_file(dir.path(), "x"), cat(dir.path(), " is a directory").c_str(), Error);
}

TEST_CASE("a file is written into a result, by the kernel or by hand") {
  const TempDir dir = TempDir::in_tmp("output-test-");
  std::string text;
  for (unsigned i = 0; text.size() < 700'000; ++i) text += cat(i, ",");
  put(dir.path() + "/source", text);
  const UniqueFd source = sys::open_at(AT_FDCWD, dir.path() + "/source", O_RDONLY);
  const auto write_all = [&](OutputFile& out) {
    std::uint64_t written = 0;
    out.write("head ");
    out.write_file(source.get(), 600'000, [&](std::uint64_t bytes) { written += bytes; });
    out.write(" tail");
    CHECK(written == 600'000);
    CHECK(lseek(source.get(), 0, SEEK_CUR) == 0);
  };
  const std::string expected = cat("head ", text.substr(0, 600'000), " tail");
  {
    OutputFile out(dir.path() + "/out");
    write_all(out);
    out.publish();
    CHECK(content(dir.path() + "/out") == expected);
  }
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd in(ends[0]);
  UniqueFd pipe(ends[1]);
  REQUIRE(::fcntl(pipe.get(), F_SETFD, 0) == 0);  // as one that was inherited
  CHECK(read_while(in.get(), [&] {
          OutputFile out(cat("/dev/fd/", pipe.get()));
          pipe.reset();
          write_all(out);
          out.publish();
        }) == expected);
  OutputFile out(dir.path() + "/short");
  CHECK_THROWS_AS(out.write_file(source.get(), text.size() + 1), Error);
}

}  // namespace cbuild
