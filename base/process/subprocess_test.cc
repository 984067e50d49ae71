// SPDX-License-Identifier: Apache-2.0
// Shell scripts that print too much, hang, or leave processes behind.
#include "base/process/subprocess.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

CommandResult shell(const std::string& script, std::string_view input = {}) {
  return run_command({"sh", "-c", script}, input);
}

ErrorCode spawn_error(const Child::Options& options) {
  try {
    Child::spawn(options);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

}  // namespace

TEST_CASE("run_command collects both streams and the exit code") {
  const CommandResult result = shell("echo out; echo err >&2; exit 7");
  CHECK(result.exit_code == 7);
  CHECK(result.out == "out\n");
  CHECK(result.err == "err\n");
  CHECK(shell("kill -9 $$").exit_code == 128 + SIGKILL);
}

TEST_CASE("run_command in a directory, and cancelled") {
  CHECK(run_command({"pwd"}, CommandOptions{.directory = "/"}).out == "/\n");
  CancelSource cancel;
  cancel.cancel();
  const auto start = steady_clock::now();
  CHECK_THROWS_AS(run_command({"sleep", "60"}, CommandOptions{.cancel = &cancel}), Error);
  CHECK(steady_clock::now() - start < std::chrono::seconds(30));
}

TEST_CASE("run_command asks a watcher while the program runs, and ends it when that throws") {
  pid_t group = 0;
  const auto end_it = [&](pid_t pid) {
    group = pid;
    throw Error(ErrorCode::network, "too slow");
  };
  const CommandOptions slow{.watch = end_it, .watch_every = std::chrono::milliseconds(10)};
  CHECK_THROWS_WITH_AS(run_command({"sleep", "600"}, slow), "too slow", Error);
  CHECK(group > 0);
  CHECK(::kill(-group, 0) != 0);

  int calls = 0;
  const auto twice = [&](pid_t pid) {
    if (++calls == 2) ::kill(pid, SIGTERM);
  };
  const CommandOptions watched{.watch = twice, .watch_every = std::chrono::milliseconds(10)};
  CHECK(run_command({"sleep", "600"}, watched).exit_code == 128 + SIGTERM);
  CHECK(calls >= 2);
}

TEST_CASE("run_command gives input and takes much output") {
  const std::string large(3'000'000, 'x');
  CHECK(run_command({"cat"}, large).out == large);
  CHECK(run_command({"true"}, large).exit_code == 0);
  CHECK(run_command({"cat"}).out == "");
  CHECK(shell("cat; cat /dev/stdin", "a\n").out == "a\na\n");
}

TEST_CASE("run_command drops output above the limit and does not stall") {
  const auto result =
      run_command({"sh", "-c", "head -c 1000000 /dev/zero; echo end >&2"}, {}, std::chrono::minutes(1), 10);
  CHECK(result.exit_code == 0);
  CHECK(result.out == std::string(10, '\0'));
  CHECK(result.err == "end\n");
}

TEST_CASE("run_command kills the whole group at the timeout") {
  const auto begin = steady_clock::now();
  CHECK_THROWS_WITH_AS(run_command({"sh", "-c", "sleep 100 & sleep 100"}, {}, milliseconds(50)),
                       "sh did not end within 50ms", Error);
  CHECK(steady_clock::now() - begin < std::chrono::seconds(20));
}

TEST_CASE("run_command does not wait for a process left behind that holds the pipes") {
  const auto begin = steady_clock::now();
  const CommandResult result = shell("sleep 60 & echo $!");
  CHECK(result.exit_code == 0);
  CHECK(steady_clock::now() - begin < std::chrono::seconds(30));
  const auto left_behind = parse_int(trim(result.out));
  REQUIRE(left_behind);
  ::kill(static_cast<pid_t>(*left_behind), SIGKILL);
}

TEST_CASE("the environment is given or inherited") {
  const std::vector<std::string> variables = {"A=1", "B=x y"};
  const auto result = run_command({"/usr/bin/env"}, {}, std::chrono::minutes(1), 1 << 20, variables);
  CHECK(result.out == "A=1\nB=x y\n");
  CHECK(run_command({"env"}, {}, std::chrono::minutes(1), 1 << 20, std::vector<std::string>()).out == "");
  ::setenv("CBUILD_SUBPROCESS_TEST", "seen", 1);
  CHECK(shell("echo $CBUILD_SUBPROCESS_TEST").out == "seen\n");
  ::unsetenv("CBUILD_SUBPROCESS_TEST");
}

TEST_CASE("a program that cannot run is an error of spawn") {
  TempDir dir = TempDir::in_tmp("sub-");
  sys::write_file_at(dir.fd(), "data", "no program", 0644);
  CHECK(spawn_error({.argv = {"no-such-program-anywhere"}}) == ErrorCode::not_found);
  CHECK(spawn_error({.argv = {dir.path() + "/missing"}}) == ErrorCode::not_found);
  CHECK(spawn_error({.argv = {dir.path() + "/data"}}) == ErrorCode::denied);
  CHECK(spawn_error({.argv = {"true"}, .directory = dir.path() + "/missing"}) == ErrorCode::not_found);
  CHECK_THROWS_WITH(Child::spawn({.argv = {"no-such-program-anywhere"}}),
                    "run no-such-program-anywhere: No such file or directory");
  CHECK_THROWS_WITH(Child::spawn({.argv = {"true"}, .directory = "/no/such"}),
                    "run true in /no/such: No such file or directory");
  CHECK_THROWS_AS(Child::spawn({.argv = {}}), Error);
}

TEST_CASE("a child runs in its directory with its streams") {
  TempDir dir = TempDir::in_tmp("sub-");
  Pipe out = make_pipe();
  Child child = Child::spawn({.argv = {"pwd"}, .directory = dir.path(), .stdout_fd = out.write.get()});
  out.write.reset();
  CHECK(sys::read_all(out.read.get(), 4096) == dir.path() + "\n");
  CHECK(child.wait() == 0);
  CHECK(child.pid() == -1);
}

TEST_CASE("streams may be swapped") {
  Pipe one = make_pipe(), two = make_pipe();
  const UniqueFd keep_out(::fcntl(1, F_DUPFD_CLOEXEC, 10)), keep_err(::fcntl(2, F_DUPFD_CLOEXEC, 10));
  ::dup2(one.write.get(), 1);
  ::dup2(two.write.get(), 2);
  std::optional<Child> child;
  ScopeExit restore([&] {
    ::dup2(keep_out.get(), 1);
    ::dup2(keep_err.get(), 2);
  });
  child = Child::spawn({.argv = {"sh", "-c", "echo out; echo err >&2"}, .stdout_fd = 2, .stderr_fd = 1});
  const int code = child->wait();
  ::dup2(keep_out.get(), 1);
  ::dup2(keep_err.get(), 2);
  one.write.reset();
  two.write.reset();
  CHECK(code == 0);
  CHECK(sys::read_all(one.read.get(), 100) == "err\n");
  CHECK(sys::read_all(two.read.get(), 100) == "out\n");
}

TEST_CASE("a child inherits no other descriptor and no blocked or ignored signal") {
  Pipe leaked = make_pipe(), out = make_pipe();
  REQUIRE(::fcntl(leaked.write.get(), F_SETFD, 0) == 0);
  sigset_t blocked, old;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &old);
  const auto handler = ::signal(SIGPIPE, SIG_IGN);
  Child child =
      Child::spawn({.argv = {"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"}, .stdout_fd = out.write.get()});
  ::signal(SIGPIPE, handler);
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
  out.write.reset();
  const std::string masks = sys::read_all(out.read.get(), 4096);
  CHECK(child.wait() == 0);
  // The C library leaves its own two real-time signals, 32 and 33, ignored.
  CHECK(masks.find("SigBlk:\t0000000000000000\n") != std::string::npos);
  CHECK((masks.find("SigIgn:\t0000000000000000\n") != std::string::npos ||
         masks.find("SigIgn:\t0000000180000000\n") != std::string::npos));
  CHECK(shell("ls /proc/$$/fd").out == "0\n1\n2\n");
}

TEST_CASE("a child has a group of its own unless told otherwise") {
  Child own = Child::spawn({.argv = {"sleep", "100"}});
  CHECK(::getpgid(own.pid()) == own.pid());
  Child shared = Child::spawn({.argv = {"sleep", "100"}, .new_group = false});
  CHECK(::getpgid(shared.pid()) == ::getpgrp());
  shared.signal(SIGTERM);
  own.signal(SIGTERM);
  CHECK(own.wait() == 128 + SIGTERM);
  CHECK(shared.wait() == 128 + SIGTERM);
  own.signal(SIGTERM);
}

TEST_CASE("the pidfd becomes readable at the end") {
  Child child = Child::spawn({.argv = {"true"}});
  pollfd ended{child.pidfd(), POLLIN, 0};
  CHECK(::poll(&ended, 1, 60'000) == 1);
  CHECK(child.wait() == 0);
}

TEST_CASE("dropping a child kills and reaps it and its group") {
  Pipe out = make_pipe();
  pid_t pid = -1;
  {
    Child child = Child::spawn({.argv = {"sh", "-c", "sleep 100 & sleep 100"}, .stdout_fd = out.write.get()});
    out.write.reset();
    pid = child.pid();
    Child moved(std::move(child));
    Child assigned = Child::spawn({.argv = {"true"}});
    assigned = std::move(moved);
    CHECK(assigned.pid() == pid);
  }
  CHECK(::kill(pid, 0) == -1);
  // The end of the pipe: nobody of the group holds it any more.
  pollfd ended{out.read.get(), POLLIN, 0};
  REQUIRE(::poll(&ended, 1, 30'000) == 1);
  CHECK(sys::read_all(out.read.get(), 100) == "");
}

TEST_CASE("a program is found in the first directory that has it") {
  CHECK(find_program("sh", "/nowhere:/bin:/usr/bin") == "/bin/sh");
  CHECK(find_program("sh", "") == "");
  CHECK(find_program("sh", "bin:./bin:..") == "");
  CHECK(find_program("passwd", "/etc") == "");  // not a program
  CHECK(find_program("no-such-program", program_path()) == "");
}

}  // namespace cbuild
