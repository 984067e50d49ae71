// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/http/http.h"

namespace cbuild::http {

/// Keeps one exchange to its TransferLimits: what happens is reported to it, and over() says when it has to end. Counts
/// only the time that is spent waiting for the network. Not thread-safe.
class Pace {
 public:
  /// `to_send`: bytes of the request's body that are sent piece by piece.
  Pace(const TransferLimits& limits, std::uint64_t to_send);

  void connected();                  ///< the request goes out now
  void sent(std::uint64_t total);    ///< bytes of the body that have left so far
  void received(std::size_t bytes);  ///< of the answer; not of interim answers (1xx)
  void waited(std::chrono::nanoseconds time);

  /// Why the exchange has to end, or nullopt.
  std::optional<TransportFailure> over() const;
  /// How long over() stays nullopt if nothing happens; at least 1 ms.
  std::chrono::milliseconds left() const;

 private:
  enum class Phase { connecting, sending, waiting, receiving };
  void enter(Phase phase);
  void moved(std::uint64_t bytes);
  std::chrono::nanoseconds limit() const;
  bool has_rate() const { return phase_ == Phase::sending || phase_ == Phase::receiving; }
  bool window_is_good() const;

  const TransferLimits limits_;
  const std::uint64_t to_send_;
  Phase phase_ = Phase::connecting;
  std::chrono::nanoseconds waited_{0};  ///< in this phase, or in the current window of a body
  std::uint64_t moved_ = 0;             ///< in the current window
  std::uint64_t sent_ = 0;
};

}  // namespace cbuild::http
