// SPDX-License-Identifier: Apache-2.0
#include "base/process/threads.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/process/process_limits.h"
#include "base/test_skip.h"

using namespace cbuild;

namespace {

/// Calls `claim` in a child of a user that may have `most` processes and threads; the child is one of them.
bool holds_within(rlim_t most, bool (*claim)()) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    // Nobody else has this id, whatever else runs.
    const auto id = static_cast<uid_t>(1'900'000'000 + ::getpid());
    const rlimit limit{most, most};
    if (::setresgid(id, id, id) != 0 || ::setresuid(id, id, id) != 0 || ::setrlimit(RLIMIT_NPROC, &limit) != 0)
      ::_exit(2);
    ::_exit(claim() ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) != 2);
  return WEXITSTATUS(status) == 0;
}

bool can_lower() { return test::can_run(::geteuid() == 0, "the right to become a user that has no other process"); }

bool does_all_alone() {
  std::vector<int> done(100);
  run_at_once(100, 8, [&](std::size_t i) { ++done[i]; });
  return done == std::vector<int>(100, 1);
}

bool names_the_limit() {
  if (try_start_thread([] {})) return false;
  try {
    start_thread([] {});
  } catch (const Error& error) {
    return limit_hint(error.sys_errno()).starts_with("this user may have 1 processes and threads at once;");
  }
  return false;
}

bool has_room_for_three() { return has_room_for_threads(3) && !has_room_for_threads(4) && has_room_for_threads(3); }

}  // namespace

TEST_CASE("run_at_once calls each index once, on as many threads as asked for at most") {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::vector<int> done(50);
  run_at_once(50, 3, [&](std::size_t i) {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
    ++done[i];
  });
  CHECK(done == std::vector<int>(50, 1));
  CHECK(threads.size() <= 3);
  run_at_once(0, 3, [](std::size_t) { FAIL("nothing to do"); });
}

TEST_CASE("after a failure run_at_once begins nothing new and rethrows it") {
  std::atomic<int> begun{0};
  const auto work = [&](std::size_t i) {
    ++begun;
    if (i == 2) throw std::runtime_error("two");
  };
  CHECK_THROWS_WITH(run_at_once(1000, 1, work), "two");
  CHECK(begun == 3);
}

TEST_CASE("where a user may have no thread more, the calling thread does all") {
  if (can_lower()) CHECK(holds_within(1, does_all_alone));
}

TEST_CASE("a thread that has to be there and cannot be names the limit") {
  if (can_lower()) CHECK(holds_within(1, names_the_limit));
}

TEST_CASE("room for threads is what the limit leaves") {
  CHECK(has_room_for_threads(1));
  if (can_lower()) CHECK(holds_within(4, has_room_for_three));
}
