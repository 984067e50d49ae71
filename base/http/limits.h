// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace cbuild::http {

/// How long the other side of a transfer may be silent or slow. Time that we spend on our own side (a slow disk)
/// does not count.
struct TransferLimits {
  std::chrono::milliseconds connect{20'000};  ///< name, connection and TLS handshake together
  std::chrono::milliseconds answer{45'000};   ///< from the request to the first byte of its answer
  std::chrono::milliseconds window{30'000};   ///< the time over which a body's rate is measured
  std::uint64_t rate = 1024;                  ///< least bytes per second, over a window; 0: any, but not none

  bool operator==(const TransferLimits&) const = default;
};

/// Sets what "connect=20s,answer=45s,window=30s,rate=1k" names. Throws Error{usage}; `flag` is named in it.
void set_transfer_limits(std::string_view text, std::string_view flag, TransferLimits& limits);

/// The defaults, changed by the variable CBUILD_TRANSFER_LIMITS. Throws Error{usage}.
TransferLimits transfer_limits_of_environment();

}  // namespace cbuild::http
