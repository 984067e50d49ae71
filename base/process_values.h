// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

/// Values that describe a process to be started, from the command line to the sandbox; each layer in between hands them
/// on as they are.
namespace cbuild {

/// A limit of setrlimit(2).
struct Ulimit {
  std::string name;                 ///< without "RLIMIT_", in any case: "nofile"
  std::int64_t soft = 0, hard = 0;  ///< -1: unlimited
  bool operator==(const Ulimit&) const = default;
};

/// What a process and its children have used.
struct ResourceUse {
  std::int64_t user_ns = 0, system_ns = 0;          ///< of all processors together
  std::uint64_t peak_memory_bytes = 0;              ///< of all at once where that is known, else of the largest process
  std::uint64_t read_bytes = 0, written_bytes = 0;  ///< from and to disks
  bool oom_killed = false;                          ///< a process was killed because memory ran out

  bool operator==(const ResourceUse&) const = default;
};

/// The network that a process sees. The values enter cache keys.
enum class NetworkMode { host, none };

}  // namespace cbuild
