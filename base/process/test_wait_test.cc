// SPDX-License-Identifier: Apache-2.0
#include "base/test_wait.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <future>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::test {
namespace {

/// Forks a process that ends only by a signal.
pid_t endless_child() {
  const pid_t child = ::fork();
  if (child != 0) return child;
  for (;;) ::pause();
}

TEST_CASE("hang 1: a thread that nobody wakes" * doctest::skip()) {
  MESSAGE("child ", endless_child(), ".");
  std::promise<void> never;
  const Awaiting awaiting("a promise");
  never.get_future().wait();
}

TEST_CASE("hang 2: a child process, with a second wait behind" * doctest::skip()) {
  const pid_t child = endless_child();
  MESSAGE("child ", child, ".");
  { const Awaiting over("nothing any more"); }
  const Awaiting awaiting("the end of a child");
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("hang 3: a wait without a name" * doctest::skip()) {
  SUBCASE("one") { ::pause(); }
  SUBCASE("another") { CHECK(true); }
}

TEST_CASE("hang 4: none" * doctest::skip()) { CHECK(true); }

bool holds(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// Whether the process is there and no zombie.
bool runs(std::int64_t pid) {
  try {
    const std::string stat = sys::read_file_at(AT_FDCWD, cat("/proc/", pid, "/stat"), 4096);
    return !holds(stat, ") Z ");
  } catch (const Error&) {
    return false;
  }
}

TEST_CASE("a test case that hangs fails, says what it waited for, and leaves the others and no process") {
  std::vector<std::string> environment = {"CBUILD_TEST_TIMEOUT=1"};
  const CommandResult result = run_command({"/proc/self/exe", "--no-skip", "--test-case=hang *", "--no-colors"}, "",
                                           std::chrono::minutes(5), 16u << 20, environment);
  CAPTURE(result.out);
  CHECK(result.exit_code == 1);
  CHECK(holds(result.out, "waited 1 s for a promise"));
  CHECK(holds(result.out, "waited 1 s for the end of a child"));
  CHECK(holds(result.out, "the test case does not end in 4 s"));
  CHECK(holds(result.out, "4 | 1 passed | 3 failed"));
  std::size_t children = 0;
  for (std::size_t at = result.out.find("child "); at != std::string::npos; at = result.out.find("child ", at + 1)) {
    const auto pid = parse_int(result.out.substr(at + 6, result.out.find('.', at) - at - 6));
    if (!pid) continue;
    ++children;
    CHECK_FALSE(runs(*pid));
  }
  CHECK(children == 2);
}

}  // namespace
}  // namespace cbuild::test
