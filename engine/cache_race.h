// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace cbuild::engine {

/// The race of a layer of a remote cache against the steps that could be run instead of fetching it: a slow registry
/// must not make a build slower than it is without the cache. Both are estimates, so the layer is given up only when
/// what is still to come would take longer than all steps of the cache took together, and not before `patience`.
struct CacheRace {
  std::chrono::milliseconds patience{5000};
  /// Nanoseconds that the steps of a cache took, by its locator; 0 if that is not known. Empty: never.
  std::function<std::int64_t(const std::string& locator)> steps_ns;
};

/// Whether a download takes longer than the steps would, that has brought `bytes` of `total` in `elapsed_ns`.
bool is_too_slow(const CacheRace& race, const std::string& locator, std::int64_t elapsed_ns, std::uint64_t bytes,
                 std::uint64_t total);

}  // namespace cbuild::engine
