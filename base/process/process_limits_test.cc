// SPDX-License-Identifier: Apache-2.0
#include "base/process/process_limits.h"

#include <sys/resource.h>

#include <doctest/doctest.h>

#include <cerrno>

using namespace cbuild;

namespace {

/// Lowers the soft limit for one test.
class Lowered {
 public:
  Lowered(__rlimit_resource resource, rlim_t value) : resource_(resource) {
    REQUIRE(::getrlimit(resource, &before_) == 0);
    const rlimit lowered{value, before_.rlim_max};
    REQUIRE(::setrlimit(resource, &lowered) == 0);
  }
  ~Lowered() { ::setrlimit(resource_, &before_); }
  Lowered(const Lowered&) = delete;
  Lowered& operator=(const Lowered&) = delete;

 private:
  const __rlimit_resource resource_;
  rlimit before_{};
};

}  // namespace

TEST_CASE("an error that a limit of the process causes names it") {
  {
    const Lowered files(RLIMIT_NOFILE, 200);
    CHECK(limit_hint(EMFILE) == "this process may have 200 files open at once; raise that limit with `ulimit -n`");
  }
  {
    const Lowered size(RLIMIT_FSIZE, 12'345'678);
    CHECK(limit_hint(EFBIG) ==
          "this process may write files of 12345678 bytes at most; raise that limit with `ulimit -f`");
  }
  {
    const Lowered processes(RLIMIT_NPROC, 5000);
    CHECK(limit_hint(EAGAIN) ==
          "this user may have 5000 processes and threads at once; raise that limit with `ulimit -u`");
  }
  CHECK(limit_hint(ENOENT).empty());
  CHECK(limit_hint(0).empty());
}

TEST_CASE("jobs at once are as many as descriptors allow") {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(jobs_within_open_files(1, 1'000'000'000) == 1);
  if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max < 1000) return;
  const auto each = static_cast<unsigned>(limit.rlim_max / 10);
  CHECK(jobs_within_open_files(5, each) == 5);
  CHECK(jobs_within_open_files(100, each) == 9);
}
