// SPDX-License-Identifier: Apache-2.0
// Temporary directories, removal of hostile trees, and locks; the cases about locks fork, since only another process
// can show that a lock excludes and that it ends with its holder.
#include "base/files.h"

#include <doctest/doctest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/test_skip.h"

namespace cbuild {

namespace {

constexpr auto kShared = FileLock::Mode::shared, kExclusive = FileLock::Mode::exclusive;

/// The act of another process between the next opening of a lock's file and its locking.
thread_local std::function<void()> before_flock;

bool exists(int dirfd, const std::string& path) { return sys::try_stat_at(dirfd, path).has_value(); }

/// Nests directories "d" without long paths.
void nest(int dirfd, int depth) {
  UniqueFd current = sys::open_at(dirfd, ".", O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < depth; ++i) {
    sys::mkdir_at(current.get(), "d", 0700);
    sys::write_file_at(current.get(), "f", "x");
    current = sys::open_at(current.get(), "d", O_RDONLY | O_DIRECTORY);
  }
}

}  // namespace

/// Stands in for the C library's.
extern "C" int flock(int fd, int operation) noexcept {
  if (const auto act = std::exchange(before_flock, nullptr)) act();
  return static_cast<int>(::syscall(SYS_flock, fd, operation));
}

TEST_CASE("scope exit runs once unless dismissed") {
  int runs = 0;
  {
    ScopeExit exit([&] { ++runs; });
  }
  CHECK(runs == 1);
  {
    ScopeExit exit([&] { ++runs; });
    exit.dismiss();
  }
  CHECK(runs == 1);
}

TEST_CASE("a temporary directory goes with all it holds") {
  TempDir outer = TempDir::in_tmp("files-");
  std::string name;
  {
    TempDir inner(outer.fd(), "inner-");
    name = inner.name();
    CHECK(name.starts_with("inner-"));
    CHECK((sys::stat_at(outer.fd(), name).st_mode & 0777) == 0700);
    CHECK(inner.path() == outer.path() + "/" + name);
    sys::mkdir_all(inner.fd(), "a/b", 0700);
    sys::write_file_at(inner.fd(), "a/f", "x");
  }
  CHECK_FALSE(exists(outer.fd(), name));
}

TEST_CASE("a temporary directory can be kept, moved and replaced") {
  TempDir outer = TempDir::in_tmp("files-");
  std::string kept, first, second;
  {
    TempDir dir(outer.fd(), "kept-");
    kept = dir.name();
    dir.keep();
  }
  CHECK(exists(outer.fd(), kept));
  {
    TempDir a(outer.fd(), "x-"), b(outer.fd(), "x-");
    first = a.name();
    second = b.name();
    CHECK(first != second);
    a = std::move(b);
    CHECK_FALSE(exists(outer.fd(), first));
    TempDir c(std::move(a));
    CHECK(c.name() == second);
    CHECK(exists(outer.fd(), second));
  }
  CHECK_FALSE(exists(outer.fd(), second));
  CHECK_THROWS_AS(TempDir(outer.fd(), "no/such/"), Error);
}

TEST_CASE("remove_all_at removes files, links and trees, and accepts a missing name") {
  TempDir dir = TempDir::in_tmp("files-");
  sys::write_file_at(dir.fd(), "f", "");
  sys::mkdir_all(dir.fd(), "keep/inside", 0700);
  sys::mkdir_all(dir.fd(), "tree/a/b", 0700);
  REQUIRE(::symlinkat("../keep", dir.fd(), "tree/link") == 0);
  REQUIRE(::symlinkat("keep", dir.fd(), "link") == 0);
  REQUIRE(::mkfifoat(dir.fd(), "tree/a/fifo", 0600) == 0);
  for (const char* name : {"f", "tree", "link", "missing", "missing/below", "f"}) sys::remove_all_at(dir.fd(), name);
  CHECK(sys::list_dir(dir.fd()) == std::vector<std::string>{"keep"});
  CHECK(exists(dir.fd(), "keep/inside"));
}

TEST_CASE("remove_all_at is not stopped by modes or width") {
  TempDir dir = TempDir::in_tmp("files-");
  sys::mkdir_all(dir.fd(), "t/a/b/c", 0700);
  for (int i = 0; i < 2000; ++i) sys::open_at(dir.fd(), "t/a/name-" + std::to_string(i), O_CREAT | O_WRONLY, 0);
  for (const char* name : {"t/a/b/c", "t/a/b", "t/a", "t"}) REQUIRE(::fchmodat(dir.fd(), name, 0, 0) == 0);
  sys::remove_all_at(dir.fd(), "t");
  CHECK_FALSE(exists(dir.fd(), "t"));
}

TEST_CASE("remove_all_at as an ordinary user opens closed directories of its own") {
  if (!test::can_run(::geteuid() == 0, "root")) return;
  TempDir dir = TempDir::in_tmp("files-");
  REQUIRE(::fchmod(dir.fd(), 0777) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::setuid(65534) != 0) ::_exit(2);
    try {
      sys::mkdir_all(dir.fd(), "t/a/b/c", 0700);
      sys::write_file_at(dir.fd(), "t/a/b/f", "");
      for (const char* name : {"t/a/b/c", "t/a/b", "t/a", "t"}) ::fchmodat(dir.fd(), name, 0, 0);
      sys::remove_all_at(dir.fd(), "t");
    } catch (const Error&) {
      ::_exit(1);
    }
    ::_exit(exists(dir.fd(), "t") ? 3 : 0);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(status == 0);
}

TEST_CASE("remove_all_at removes trees deeper than descriptors and paths can be") {
  TempDir dir = TempDir::in_tmp("files-");
  sys::mkdir_at(dir.fd(), "top", 0700);
  nest(sys::open_at(dir.fd(), "top", O_RDONLY | O_DIRECTORY).get(), 5000);
  sys::remove_all_at(dir.fd(), "top");
  CHECK_FALSE(exists(dir.fd(), "top"));
}

TEST_CASE("remove_all_at does not enter mounts") {
  if (!test::can_run(::geteuid() == 0, "root")) return;
  TempDir dir = TempDir::in_tmp("files-");
  sys::mkdir_all(dir.fd(), "precious", 0700);
  sys::write_file_at(dir.fd(), "precious/f", "");
  sys::mkdir_all(dir.fd(), "t/mnt", 0700);
  const std::string from = dir.path() + "/precious", to = dir.path() + "/t/mnt";
  if (::mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    MESSAGE("no mounts here");
    return;
  }
  ScopeExit unmount([&] { ::umount2(to.c_str(), MNT_DETACH); });
  CHECK_THROWS_AS(sys::remove_all_at(dir.fd(), "t"), Error);
  CHECK(exists(dir.fd(), "precious/f"));
}

TEST_CASE("locks exclude as they should") {
  TempDir dir = TempDir::in_tmp("files-");
  auto shared = FileLock::try_lock(dir.fd(), "l", kShared);
  REQUIRE(shared);
  CHECK(FileLock::try_lock(dir.fd(), "l", kShared).has_value());
  CHECK_FALSE(FileLock::try_lock(dir.fd(), "l", kExclusive).has_value());
  shared.reset();
  auto exclusive = FileLock::try_lock(dir.fd(), "l", kExclusive);
  REQUIRE(exclusive);
  CHECK_FALSE(FileLock::try_lock(dir.fd(), "l", kShared).has_value());
  auto moved = std::move(exclusive);
  exclusive = std::nullopt;
  CHECK_FALSE(FileLock::try_lock(dir.fd(), "l", kExclusive).has_value());
  moved.reset();
  CHECK(FileLock::try_lock(dir.fd(), "l", kExclusive).has_value());
  CHECK(FileLock::try_lock(dir.fd(), "other", kExclusive).has_value());
  CHECK(exists(dir.fd(), "l"));
  CHECK_THROWS_AS(FileLock::try_lock(dir.fd(), "no/l", kShared), Error);
}

TEST_CASE("byte locks exclude the same byte only") {
  TempDir dir = TempDir::in_tmp("files-");
  constexpr std::uint64_t kFar = 0x0fff'ffff'ffff'ffff;
  auto held = FileLock::try_lock_byte(dir.fd(), "l", kFar);
  REQUIRE(held);
  CHECK_FALSE(FileLock::try_lock_byte(dir.fd(), "l", kFar).has_value());
  CHECK(FileLock::try_lock_byte(dir.fd(), "l", kFar - 1).has_value());
  CHECK(FileLock::try_lock_byte(dir.fd(), "l", 0).has_value());
  CHECK_FALSE(FileLock::wait_byte(dir.fd(), "l", kFar, [calls = 0]() mutable { return ++calls > 3; }).has_value());
  auto moved = std::move(held);
  held = std::nullopt;
  CHECK_FALSE(FileLock::try_lock_byte(dir.fd(), "l", kFar).has_value());
  moved.reset();
  CHECK(FileLock::wait_byte(dir.fd(), "l", kFar).has_value());
}

TEST_CASE("a byte lock dies with its holder") {
  TempDir dir = TempDir::in_tmp("files-");
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = FileLock::try_lock_byte(dir.fd(), "l", 7);
    ::raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(FileLock::try_lock_byte(dir.fd(), "l", 7).has_value());
}

TEST_CASE("assigning a lock releases the old one") {
  TempDir dir = TempDir::in_tmp("files-");
  auto a = FileLock::try_lock(dir.fd(), "a", kExclusive), b = FileLock::try_lock(dir.fd(), "b", kExclusive);
  *a = std::move(*b);
  CHECK(FileLock::try_lock(dir.fd(), "a", kExclusive).has_value());
  CHECK_FALSE(FileLock::try_lock(dir.fd(), "b", kExclusive).has_value());
}

TEST_CASE("a lock is gone with its holder even if a child inherited the descriptor") {
  TempDir dir = TempDir::in_tmp("files-");
  auto lock = FileLock::try_lock(dir.fd(), "l", kExclusive);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    char c;
    ::close(ends[1]);
    if (::read(ends[0], &c, 1) < 0) ::_exit(1);
    ::_exit(0);
  }
  lock.reset();
  CHECK(FileLock::try_lock(dir.fd(), "l", kExclusive).has_value());
  ::close(ends[1]);
  ::close(ends[0]);
  ::waitpid(pid, nullptr, 0);
}

TEST_CASE("a lock on a file that went or was replaced before it was locked does not count") {
  for (const bool replaced : {false, true}) {
    TempDir dir = TempDir::in_tmp("files-");
    before_flock = [&] {
      sys::unlink_at(dir.fd(), "l");
      if (replaced) sys::open_at(dir.fd(), "l", O_RDWR | O_CREAT | O_EXCL, 0644);
    };
    const auto lock = FileLock::try_lock(dir.fd(), "l", kExclusive);
    CHECK(lock.has_value());
    CHECK(exists(dir.fd(), "l"));
    CHECK_FALSE(FileLock::try_lock(dir.fd(), "l", kExclusive).has_value());
  }
}

TEST_CASE("a lock on an unlinked file does not count") {
  TempDir dir = TempDir::in_tmp("files-");
  auto stale = FileLock::try_lock(dir.fd(), "l", kExclusive);
  sys::unlink_at(dir.fd(), "l");
  auto fresh = FileLock::try_lock(dir.fd(), "l", kExclusive);
  REQUIRE(fresh);
  CHECK_FALSE(FileLock::try_lock(dir.fd(), "l", kShared).has_value());
  std::thread waiter([&] { CHECK(FileLock::wait(dir.fd(), "l", kExclusive).has_value()); });
  sys::unlink_at(dir.fd(), "l");
  fresh.reset();
  waiter.join();
}

TEST_CASE("only one of many holds an exclusive lock while others unlink the file") {
  TempDir dir = TempDir::in_tmp("files-");
  std::atomic<int> inside{0}, worst{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        auto lock = FileLock::wait(dir.fd(), "l", kExclusive);
        const int now = ++inside;
        if (now > worst) worst = now;
        --inside;
        if (i % 3 == 0) sys::unlink_at(dir.fd(), "l");
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(worst <= 1);
}

TEST_CASE("waiting for a lock ends when it is free or when it is cancelled") {
  TempDir dir = TempDir::in_tmp("files-");
  auto held = FileLock::try_lock(dir.fd(), "l", kExclusive);
  int asked = 0;
  CHECK_FALSE(FileLock::wait(dir.fd(), "l", kShared, [&] { return ++asked == 3; }).has_value());
  CHECK(asked == 3);
  std::atomic<bool> waiting{false};
  std::optional<FileLock> got;
  std::thread waiter([&] {
    got = FileLock::wait(dir.fd(), "l", kExclusive, [&] {
      waiting = true;
      return false;
    });
  });
  while (!waiting) std::this_thread::yield();
  held.reset();
  waiter.join();
  CHECK(got.has_value());
}

}  // namespace cbuild
