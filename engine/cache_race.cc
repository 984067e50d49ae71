// SPDX-License-Identifier: Apache-2.0
#include "engine/cache_race.h"

namespace cbuild::engine {

bool is_too_slow(const CacheRace& race, const std::string& locator, std::int64_t elapsed_ns, std::uint64_t bytes,
                 std::uint64_t total) {
  if (!race.steps_ns || bytes >= total || elapsed_ns < std::chrono::nanoseconds(race.patience).count()) return false;
  const std::int64_t steps_ns = race.steps_ns(locator);
  if (steps_ns <= 0) return false;
  const double elapsed = static_cast<double>(elapsed_ns), rest = static_cast<double>(total - bytes);
  return bytes == 0 || elapsed * rest / static_cast<double>(bytes) > static_cast<double>(steps_ns);
}

}  // namespace cbuild::engine
