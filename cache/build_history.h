// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/store.h"

/// The build history besides Store::add_build() and Store::builds(): its limits, and the directories logs/<id> with
/// what the steps of a build printed.
namespace cbuild::cache {

inline constexpr unsigned kKeptBuilds = 50;
inline constexpr std::int64_t kKeptBuildsForNs = std::int64_t{30} * 86'400 * 1'000'000'000;

/// Forgets builds and removes their logs. Returns how many there were.
unsigned remove_builds(Store& store, const std::vector<std::string>& ids);
/// Removes the logs of builds that are not in the history any more.
void sweep_builds(Store& store);

}  // namespace cbuild::cache
