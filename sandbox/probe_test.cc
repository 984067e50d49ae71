// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/runner.h"

using namespace cbuild;
using namespace cbuild::sandbox;

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

}  // namespace

TEST_CASE("a trial that runs out of descriptors ends in its own process, and the limit is named") {
  CHECK(come_back_with(0) == "l");
  CHECK(come_back_with(1) == "l");
  CHECK(come_back_with(2) == "l");
  CHECK(come_back_with(3) == "l");
  CHECK(come_back_with(100) == "s");
}
