// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace cbuild::solver::ops {

/// Ends a command whose other side is too slow, over whatever transport: measured by all that its processes read.
class GitPace {
 public:
  using Clock = std::chrono::steady_clock;

  /// At least `rate` bytes per second over each `window`.
  GitPace(std::chrono::milliseconds window, std::uint64_t rate, Clock::time_point now = Clock::now());

  /// How often it should look.
  std::chrono::milliseconds interval() const;
  /// Looks at the processes of a group. Throws Error{network} at the end of a window in which they read too little,
  /// unless this machine kept them from it: they computed, or waited for a disk. Knows nothing, and throws nothing,
  /// where /proc does not show them.
  void look(pid_t group);
  /// look() with numbers given; `read` by process.
  void judge(const std::map<pid_t, std::uint64_t>& read, bool busy, Clock::time_point now);

 private:
  const std::chrono::milliseconds window_;
  const std::uint64_t rate_;
  Clock::time_point begin_;
  std::map<pid_t, std::uint64_t> seen_;
  std::uint64_t moved_ = 0;        ///< in this window
  unsigned looks_ = 0, busy_ = 0;  ///< in this window
};

}  // namespace cbuild::solver::ops
