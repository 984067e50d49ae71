// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/run_fixture.h"
#include "sandbox/runner.h"

using namespace cbuild;
using namespace cbuild::sandbox;
using namespace cbuild::sandbox::testing;

namespace {

/// The output of every process that returns from probe(), when the builder may open `room` more files.
std::string come_back_with(rlim_t room) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd in(ends[0]), out(ends[1]);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    const UniqueFd first_free(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const rlim_t most = static_cast<rlim_t>(first_free.get()) + 1 + room;
    const rlimit limit{most, most};
    char word = 's';
    if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) {
      try {
        probe(false);
      } catch (const Error& error) {
        word = error.sys_errno() == EMFILE ? 'l' : 'e';
      }
    }
    ::_exit(::write(out.get(), &word, 1) == 1 ? 0 : 1);
  }
  out.reset();
  const std::string words = sys::read_all(in.get(), 100);
  ::waitpid(pid, nullptr, 0);
  return words;
}

/// As the filter of a container around this process: EPERM for the calls.
void refuse(std::uint32_t first_call, std::uint32_t second_call) {
  const auto statement = [](unsigned code, std::uint32_t value) {
    return sock_filter{static_cast<std::uint16_t>(code), 0, 0, value};
  };
  const auto skip_unless = [](std::uint32_t number, std::uint8_t yes, std::uint8_t no) {
    return sock_filter{BPF_JMP | BPF_JEQ | BPF_K, yes, no, number};
  };
  sock_filter program[] = {
      statement(BPF_LD | BPF_W | BPF_ABS, 0),
      skip_unless(first_call, 1, 0),
      skip_unless(second_call, 0, 1),
      statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{5, program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    throw_errno(errno, "seccomp");
}

}  // namespace

TEST_CASE("steps run where a filter refuses pivot_root and the host name") {
  if (!can_run_as_root()) return;
  const std::string seen = in_child([] {
    TestImage image;
    refuse(SYS_pivot_root, SYS_sethostname);
    const ProbeResult found = probe(false);
    Sandbox sandbox;
    const Outcome step = sandbox.run(image.spec("ls /../.. | tr '\\n' ' '; echo pid $$"));
    return cat(to_string(found.mode), " (", join(found.lacks, ", "), ") ", step.exit.code, " ", step.exit.setup_error,
               step.out, step.err);
  });
  CAPTURE(seen);
  CHECK(holds(seen, "root (host name) 0 "));
  CHECK(holds(seen, "bin dev"));
  CHECK(holds(seen, "pid 1"));
  CHECK_FALSE(holds(seen, "usr"));
}

TEST_CASE("a trial that runs out of descriptors ends in its own process, and the limit is named") {
  CHECK(come_back_with(0) == "l");
  CHECK(come_back_with(1) == "l");
  CHECK(come_back_with(2) == "l");
  CHECK(come_back_with(3) == "l");
  CHECK(come_back_with(100) == "s");
}
