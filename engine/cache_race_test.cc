// SPDX-License-Identifier: Apache-2.0
#include "engine/cache_race.h"

#include <doctest/doctest.h>

namespace cbuild::engine {
namespace {

using namespace std::chrono_literals;

std::int64_t ns(std::chrono::nanoseconds time) { return time.count(); }

/// The steps of the cache took a minute.
CacheRace race() {
  return {5s, [](const std::string& locator) { return locator == "cache" ? ns(60s) : 0; }};
}

}  // namespace

TEST_CASE("a layer is given up when its rest takes longer than the steps did") {
  CHECK(is_too_slow(race(), "cache", ns(6s), 50, 1000));         // 114 s more
  CHECK_FALSE(is_too_slow(race(), "cache", ns(6s), 100, 1000));  // 54 s more
  CHECK(is_too_slow(race(), "cache", ns(600s), 100, 1000));
  CHECK(is_too_slow(race(), "cache", ns(6s), 0, 1000));
}

TEST_CASE("nothing is given up before the timeout is over, nor when it is all here") {
  CHECK_FALSE(is_too_slow(race(), "cache", ns(4s), 1, 1000));
  CHECK_FALSE(is_too_slow(race(), "cache", ns(600s), 1000, 1000));
}

TEST_CASE("a cache whose steps are not known is waited for") {
  CHECK_FALSE(is_too_slow(race(), "another", ns(600s), 1, 1000));
  CHECK_FALSE(is_too_slow({}, "cache", ns(600s), 1, 1000));
}

}  // namespace cbuild::engine
