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

/// The network that a process sees. The values enter cache keys.
enum class NetworkMode { host, none };

}  // namespace cbuild
