// SPDX-License-Identifier: Apache-2.0
#include "exporter/transfers.h"

#include <doctest/doctest.h>

#include <atomic>
#include <latch>
#include <vector>

#include "base/error.h"

namespace cbuild::exporter {
namespace {

TEST_CASE("each transfer runs once") {
  for (const std::size_t count : {0u, 1u, 3u, 100u}) {
    std::vector<int> runs(count);
    run_transfers(count, [&](std::size_t i) { ++runs[i]; });
    CHECK(runs == std::vector<int>(count, 1));
  }
}

TEST_CASE("a few run at once") {
  std::latch all(4);
  run_transfers(4, [&](std::size_t) { all.arrive_and_wait(); });
}

TEST_CASE("a failure is rethrown, and nothing new is begun after it") {
  std::atomic<unsigned> begun{0};
  std::latch all(4);
  const auto fail = [&](std::size_t) {
    ++begun;
    all.arrive_and_wait();
    throw Error(ErrorCode::network, "gone");
  };
  CHECK_THROWS_AS(run_transfers(1000, fail), Error);
  CHECK(begun == 4);
}

}  // namespace
}  // namespace cbuild::exporter
