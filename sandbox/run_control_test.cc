// SPDX-License-Identifier: Apache-2.0
// Steps that are stopped, run into their time, daemonise, or lose the processes that hold them.
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <csignal>
#include <fstream>

#include "base/error.h"
#include "base/sys.h"
#include "base/test_wait.h"
#include "base/text.h"
#include "sandbox/run_fixture.h"

using namespace cbuild;
using namespace cbuild::sandbox;
using namespace cbuild::sandbox::testing;
using std::chrono::milliseconds;

namespace {

/// A word to find a test's processes by.
std::string marker() {
  static int count = 0;
  return cat("sandbox-marker-", ::getpid(), "-", ++count);
}

std::int64_t elapsed_ms(std::int64_t since) { return (sys::monotonic_ns() - since) / 1'000'000; }

}  // namespace

TEST_CASE("stop: the command gets SIGTERM and the chance to end") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  Running step(sandbox.runner(), image.spec("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"));
  step.wait_for("up");
  step.step().stop(milliseconds(30'000));
  const Outcome outcome = step.wait();
  CHECK(outcome.exit.code == 7);
  CHECK(outcome.exit.cancelled);
  CHECK_FALSE(outcome.exit.timed_out);
  CHECK(outcome.out == "up\nbye\n");
  step.step().stop(milliseconds(0));  // of no effect any more
}

TEST_CASE("stop: a process that ignores SIGTERM is killed after the grace time, with all its children") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  const std::string mark = marker();
  Running step(
      sandbox.runner(),
      image.exec({"/bin/sh", "-c",
                  "setsid sleep 1000 & trap '' TERM; sh -c 'sleep 1000; :' & echo up; while :; do sleep 0.05; done",
                  mark}));
  step.wait_for("up");
  const std::int64_t begin = sys::monotonic_ns();
  step.step().stop(milliseconds(200));
  step.step().stop(milliseconds(100'000));  // a longer grace changes nothing
  const Outcome outcome = step.wait();
  CHECK(elapsed_ms(begin) >= 200);
  CHECK(elapsed_ms(begin) < 30'000);
  CHECK(outcome.exit.code == 137);
  CHECK(outcome.exit.cancelled);
  CHECK(all_gone(mark));
}

TEST_CASE("a step is killed when its time is up") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  Spec spec = image.spec("trap '' TERM; sleep 1000");
  spec.timeout_ns = 300'000'000;
  const Outcome outcome = sandbox.run(spec);
  CHECK(outcome.exit.timed_out);
  CHECK_FALSE(outcome.exit.cancelled);
  CHECK(outcome.exit.code == 137);
  Spec quick = image.spec("true");
  quick.timeout_ns = 60'000'000'000;
  CHECK_FALSE(sandbox.run(quick).exit.timed_out);
}

TEST_CASE("a daemon in the background holds up nothing and does not survive") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  const std::string mark = marker();
  const std::int64_t begin = sys::monotonic_ns();
  const Outcome outcome =
      sandbox.run(image.exec({"/bin/sh", "-c", cat("setsid sh -c 'sleep 1000; :' ", mark, " & echo done")}));
  CHECK(outcome.exit.code == 0);
  CHECK(outcome.out == "done\n");
  CHECK(elapsed_ms(begin) < 1900);  // not by waiting for the pipes to be given up
  CHECK(all_gone(mark));
}

TEST_CASE("without namespaces, too, strays are killed and signals arrive") {
  if (!can_run_as_root()) return;
  Sandbox sandbox(Mode::chroot);
  TestImage image;
  image.write("dev/null", "");
  const auto chroot_spec = [&](std::vector<std::string> argv) {
    Spec spec = image.exec(std::move(argv));
    spec.upper_fd = image.layer();
    spec.lower_fds.clear();
    return spec;
  };
  const std::string mark = marker();
  Outcome outcome = sandbox.run(chroot_spec(
      {"/bin/sh", "-c",
       cat("setsid sh -c 'setsid sleep 1000 & sleep 1000' ", mark, " & pwd; id -u; ls /bin/busybox; exit 9")}));
  CHECK(outcome.exit.setup_error == "");
  CHECK(outcome.exit.code == 9);
  CHECK(outcome.out == "/\n0\n/bin/busybox\n");
  CHECK(all_gone(mark));

  outcome = sandbox.run(chroot_spec({"nope"}));
  CHECK(outcome.exit.code == 127);
  CHECK(outcome.err == "exec: \"nope\": executable file not found in $PATH\n");
  CHECK(sandbox.run(chroot_spec({"sh", "-c", "kill -9 $$"})).exit.code == 137);

  Running stopped(sandbox.runner(),
                  chroot_spec({"sh", "-c", "trap 'exit 4' TERM; echo up; while :; do sleep 0.05; done"}));
  stopped.wait_for("up");
  stopped.step().stop(milliseconds(30'000));
  CHECK(stopped.wait().exit.code == 4);
  Running killed(
      sandbox.runner(),
      chroot_spec({"sh", "-c", cat("trap '' TERM; setsid sleep 1000 & echo up; sh -c 'sleep 1000; :' ", mark)}));
  killed.wait_for("up");
  killed.step().stop(milliseconds(0));
  CHECK(killed.wait().exit.code == 137);
  CHECK(all_gone(mark));

  Spec no_network = chroot_spec({"true"});
  no_network.network = NetworkMode::none;
  CHECK_THROWS_AS(sandbox.runner().run(no_network, {}), Error);
  no_network.network = NetworkMode::host;
  no_network.network_fd = 0;
  CHECK_THROWS_AS(sandbox.runner().run(no_network, {}), Error);
  Spec with_mount = chroot_spec({"true"});
  with_mount.mounts.push_back({"/tmp", TmpfsSource{}});
  CHECK_THROWS_AS(sandbox.runner().run(with_mount, {}), Error);
}

TEST_CASE("nothing runs in mode none") {
  Sandbox sandbox(Mode::none);
  TestImage image;
  try {
    sandbox.runner().run(image.spec("true"), {});
    FAIL("ran");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
    CHECK(error.hint() != "");
  }
}

TEST_CASE("when the zygote dies, every step is done with an error and none lives on") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image, other;
  const std::string mark = marker();
  Running first(sandbox.runner(), image.exec({"/bin/sh", "-c", "echo up; sleep 1000; :", mark}));
  Running second(sandbox.runner(), other.exec({"/bin/sh", "-c", "echo up; sleep 1000; :", mark}));
  first.wait_for("up");
  second.wait_for("up");
  ::kill(sandbox.zygote().impl().pid, SIGKILL);
  for (Running* step : {&first, &second}) {
    const Outcome outcome = step->wait();
    CHECK(outcome.exit.code == 125);
    CHECK(outcome.exit.setup_error == "the process that holds the sandboxes has ended");
    CHECK(outcome.out == "up\n");
  }
  CHECK(all_gone(mark));
  const Outcome later = sandbox.run(image.spec("true"));
  CHECK(later.exit.code == 125);
  CHECK(later.exit.setup_error != "");
}

TEST_CASE("when the builder is killed, nothing of it lives on") {
  if (!can_run_as_root()) return;
  for (const Mode mode : {Mode::root, Mode::chroot}) {
    const std::string mark = marker();
    TestImage image;
    image.write("dev/null", "");
    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    const pid_t builder = ::fork();
    REQUIRE(builder >= 0);
    if (builder == 0) {
      Sandbox sandbox(mode);
      Spec spec = image.exec({"/bin/sh", "-c", "echo up; trap '' TERM; setsid sleep 1000 & sleep 1000; :", mark});
      if (mode == Mode::chroot) {
        spec.lower_fds.clear();
        spec.upper_fd = image.layer();
      }
      Running step(sandbox.runner(), spec);
      step.wait_for("up");
      (void)!::write(fds[1], "u", 1);
      for (;;) ::pause();
    }
    char byte = 0;
    ::close(fds[1]);
    const test::Awaiting awaiting("the builder's step, and the end of all that held the pipe");
    REQUIRE(::read(fds[0], &byte, 1) == 1);
    CHECK(count_processes(mark) > 0);
    ::kill(builder, SIGKILL);
    ::waitpid(builder, nullptr, 0);
    // Whatever held the pipe's end is gone: zygote and guard, too.
    CHECK(::read(fds[0], &byte, 1) == 0);
    ::close(fds[0]);
    CHECK(all_gone(mark));
  }
}

TEST_CASE("a runner that goes away ends its steps first; a zygote may go before it") {
  if (!can_run_as_root()) return;
  TestImage image;
  const std::string mark = marker();
  const Spec spec = image.exec({"/bin/sh", "-c", "echo up; trap '' TERM; sleep 1000; :", mark});
  {
    Zygote zygote = Zygote::start();
    auto runner = make_namespace_runner(zygote, Mode::root);
    Running step(*runner, spec);
    step.wait_for("up");
    runner.reset();
    CHECK(step.wait().exit.code == 137);
  }
  const Spec again = image.exec({"/bin/sh", "-c", "echo up; trap '' TERM; sleep 1000; :", mark});
  std::unique_ptr<Runner> runner;
  std::unique_ptr<Running> step;
  {
    Zygote zygote = Zygote::start();
    Zygote moved = std::move(zygote);
    runner = make_namespace_runner(moved, Mode::root);
    step = std::make_unique<Running>(*runner, again);
    step->wait_for("up");
  }
  CHECK(step->wait().exit.code == 125);
  CHECK(all_gone(mark));
}

TEST_CASE("the root of somebody else's user namespace is not root") {
  if (!can_run_as_root()) return;
  for (const int namespaces :
       {CLONE_NEWUSER, CLONE_NEWUSER | CLONE_NEWNS, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET}) {
    const std::string found = in_child([&]() -> std::string {
      if (::unshare(namespaces) != 0) return "unshare failed";
      std::ofstream("/proc/self/uid_map") << "0 0 1";
      const ProbeResult result = probe(false);
      return cat(to_string(result.mode), " ", result.why());
    });
    CAPTURE(namespaces);
    const bool own_network = (namespaces & CLONE_NEWNET) != 0;
    CHECK(found == cat("user-namespace root: ", own_network ? "set a trusted attribute" : "mount sysfs",
                       ": Operation not permitted"));
  }
}

TEST_CASE("probe finds a mode by trying and leaves nothing") {
  const ProbeResult result = probe(false);
  CHECK(result.mode != Mode::none);
  if (result.mode != Mode::root)
    CHECK(result.why().find("root: ") == 0);
  else
    CHECK(result.why() == "");
  const std::string as_nobody = as_user(false, [] {
    const ProbeResult found = probe(false);
    return cat(to_string(found.mode), " ", found.why());
  });
  CHECK((as_nobody == "user-namespace " || as_nobody.find(": Operation not permitted") != std::string::npos ||
         as_nobody.find("error") == 0));
}
