// SPDX-License-Identifier: Apache-2.0
#include "solver/sources/git_pace.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/process/subprocess.h"

namespace cbuild::solver::ops {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A pace of 10 bytes/s over 10 s that is told the numbers.
struct TimedPace {
  GitPace::Clock::time_point now{};
  GitPace pace{seconds(10), 10, now};

  void after(seconds time, std::map<pid_t, std::uint64_t> read, bool busy = false) {
    now += time;
    pace.judge(read, busy, now);
  }
};

TEST_CASE_FIXTURE(TimedPace, "a transfer that reads enough in each window goes on") {
  for (std::uint64_t bytes = 100; bytes < 1000; bytes += 100) after(seconds(10), {{7, bytes}});
  after(seconds(9), {{7, 900}});  // not a window yet
  CHECK_THROWS_WITH_AS(after(seconds(1), {{7, 910}}), "only 10 bytes in 10s, the least is 10 bytes/s", Error);
}

TEST_CASE_FIXTURE(TimedPace, "silence and a drip end it, whichever process reads") {
  after(seconds(10), {{7, 5000}, {8, 0}});
  SUBCASE("silence") { CHECK_THROWS_AS(after(seconds(10), {{7, 5000}, {8, 0}}), Error); }
  SUBCASE("a drip") { CHECK_THROWS_AS(after(seconds(10), {{7, 5000}, {8, 99}}), Error); }
  SUBCASE("enough by both") { after(seconds(10), {{7, 5050}, {8, 50}}); }
  SUBCASE("enough by a new one") { after(seconds(10), {{9, 100}}); }
}

TEST_CASE_FIXTURE(TimedPace, "time that this machine needs does not count") {
  for (int i = 0; i < 9; ++i) after(seconds(1), {{7, 0}});
  after(seconds(1), {{7, 0}}, true);
  for (int i = 0; i < 9; ++i) after(seconds(1), {{7, 0}});
  CHECK_THROWS_AS(after(seconds(1), {{7, 0}}), Error);
}

TEST_CASE("a program that waits for input is found too slow, one that reads is not") {
  const auto run = [](const char* script) {
    GitPace pace(milliseconds(400), 1000);
    return run_command({"sh", "-c", script},
                       CommandOptions{.watch = [&](pid_t group) { pace.look(group); }, .watch_every = pace.interval()});
  };
  CHECK_THROWS_AS(run("sleep 600"), Error);
  CHECK_THROWS_AS(run("sleep 600 & wait"), Error);
  CHECK(
      run("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do head -c 100000 /dev/zero > /dev/null; sleep 0.1; done").exit_code ==
      0);
}

TEST_CASE("looks are neither rare nor frequent") {
  CHECK(GitPace(seconds(120), 10).interval() == milliseconds(1000));
  CHECK(GitPace(milliseconds(4000), 10).interval() == milliseconds(200));
  CHECK(GitPace(milliseconds(100), 10).interval() == milliseconds(50));
}

}  // namespace
}  // namespace cbuild::solver::ops
