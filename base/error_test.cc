// SPDX-License-Identifier: Apache-2.0
// Errors with their context, and the handles that close once: descriptors and cancel sources.
#include "base/error.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <string>

#include "base/cancel.h"
#include "base/fd.h"

namespace cbuild {

namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
UniqueFd open_null() { return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)); }

Error errno_error(int err) {
  try {
    throw_errno(err, "open x");
  } catch (Error& error) {
    return error;
  }
}

}  // namespace

TEST_CASE("an error reads from the outside in") {
  Error error(ErrorCode::io, "message");
  CHECK(std::string(error.what()) == "message");
  error.add_context("inner").add_context("outer");
  CHECK(std::string(error.what()) == "outer: inner: message");
  CHECK(error.message() == "message");
  CHECK(error.code() == ErrorCode::io);
  CHECK(error.sys_errno() == 0);
  CHECK(error.hint().empty());
  error.with_errno(EIO).with_hint("try again");
  CHECK(error.sys_errno() == EIO);
  CHECK(error.hint() == "try again");
}

TEST_CASE("throw_errno sorts the errors of system calls") {
  CHECK(std::string(errno_error(ENOENT).what()) == "open x: No such file or directory");
  CHECK(errno_error(ENOENT).code() == ErrorCode::not_found);
  CHECK(errno_error(ENOENT).sys_errno() == ENOENT);
  CHECK(errno_error(ENOSPC).code() == ErrorCode::no_space);
  CHECK(errno_error(EDQUOT).code() == ErrorCode::no_space);
  CHECK(errno_error(EACCES).code() == ErrorCode::denied);
  CHECK(errno_error(EPERM).code() == ErrorCode::denied);
  CHECK(errno_error(EIO).code() == ErrorCode::io);
  CHECK(std::string(errno_error(99999).what()) == "open x: errno 99999");
}

TEST_CASE("every code has a name of its own") {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code)
    names.insert(to_string(static_cast<ErrorCode>(code)));
  CHECK(names.size() == static_cast<std::size_t>(ErrorCode::internal) + 1);
  CHECK(to_string(ErrorCode::no_space) == "no_space");
}

TEST_CASE("a broken invariant ends the process with the condition and the place") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd read(ends[0]), write(ends[1]);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGABRT, SIG_DFL);
    ::dup2(write.get(), STDERR_FILENO);
    check_failed("1 + 1 == 3", "sums.cc", 7);
  }
  write.reset();
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
  std::string text(200, '\0');
  text.resize(static_cast<std::size_t>(::read(read.get(), text.data(), text.size())));
  CHECK(text == "sums.cc:7: internal error: 1 + 1 == 3\n");
}

TEST_CASE("UniqueFd closes exactly once") {
  int raw = -1;
  {
    UniqueFd fd = open_null();
    raw = fd.get();
    UniqueFd moved(std::move(fd));
    CHECK_FALSE(static_cast<bool>(fd));  // NOLINT(bugprone-use-after-move)
    CHECK(moved.get() == raw);
    UniqueFd& self = moved;
    moved = std::move(self);
    CHECK(is_open(raw));
  }
  CHECK_FALSE(is_open(raw));
}

TEST_CASE("UniqueFd assignment and reset close the old descriptor and keep errno") {
  UniqueFd a = open_null(), b = open_null();
  const int first = a.get(), second = b.get();
  errno = EXDEV;
  a = std::move(b);
  CHECK_FALSE(is_open(first));
  CHECK(a.get() == second);
  a.reset(second);
  CHECK(is_open(second));
  a.reset();
  CHECK_FALSE(is_open(second));
  CHECK(a.get() == -1);
  UniqueFd kept = open_null();
  const int released = kept.release();
  kept.reset();
  CHECK(is_open(released));
  UniqueFd again(released);
  again.close_checked();
  CHECK_FALSE(is_open(released));
  again.close_checked();
}

TEST_CASE("close_checked reports the error of close") {
  UniqueFd fd = open_null();
  ::close(fd.get());
  CHECK_THROWS_AS(fd.close_checked(), Error);
  CHECK_FALSE(static_cast<bool>(fd));
}

TEST_CASE("a cancel source is readable and throws once cancelled") {
  CancelSource source;
  CHECK_FALSE(source.cancelled());
  CHECK_NOTHROW(source.check());
  pollfd poll_fd{source.event_fd(), POLLIN, 0};
  CHECK(::poll(&poll_fd, 1, 0) == 0);
  errno = EXDEV;
  source.cancel();
  source.cancel();
  CHECK(errno == EXDEV);
  CHECK(source.cancelled());
  CHECK(::poll(&poll_fd, 1, 0) == 1);
  try {
    source.check();
    FAIL("did not throw");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
}

}  // namespace cbuild
