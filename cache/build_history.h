// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "cache/store.h"

/// The build history beyond Store::add_build() and Store::builds(): its limits, and the directories logs/<id> with the
/// output of the steps of a build.
namespace cbuild::cache {

inline constexpr unsigned kKeptBuilds = 50;
inline constexpr std::int64_t kKeptBuildsForNs = std::int64_t{30} * 86'400 * 1'000'000'000;

/// The directory logs/<id> of a build that runs: made when it is first asked for, and locked (flock, shared) while this
/// lives, which tells it from that of a build that was killed. Thread-safe.
class BuildLogs {
 public:
  BuildLogs(const Store& store, const std::string& id);
  BuildLogs(const BuildLogs&) = delete;
  BuildLogs& operator=(const BuildLogs&) = delete;
  const std::string& path() const { return path_; }
  /// Throws Error.
  int directory();

 private:
  const int root_fd_;
  const std::string name_, path_;
  std::mutex mutex_;
  UniqueFd directory_;
};

bool is_in_history(Store& store, const std::string& id);

/// Locks out the build that the entry `id` of `logs` is of, if it is dead; nullopt while it lives.
std::optional<UniqueFd> lock_dead_logs(int logs, const std::string& id);
/// Removes the logs of a build unless it runs; it stays in the history. Whether they are gone.
bool remove_build_logs(Store& store, const std::string& id);

/// Forgets builds and removes their logs, the logs first: that works on a full disk too. Returns how many there were.
unsigned remove_builds(Store& store, const std::vector<std::string>& ids);
/// Removes the logs of builds that are not in the history: it has dropped them, or they were killed.
void clean_up_builds(Store& store);

}  // namespace cbuild::cache
