// SPDX-License-Identifier: Apache-2.0
#include "base/http/pace.h"

#include <algorithm>

#include "base/text.h"

namespace cbuild::http {

namespace {

/// Bytes of an upload that may wait in the kernel: their leaving is not seen, so a window has to be long enough for
/// them.
constexpr std::uint64_t kUnseen = 128u << 10;

std::string shown(std::chrono::nanoseconds time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  return ms % 1000 == 0 ? cat(ms / 1000, " s") : cat(ms, " ms");
}

}  // namespace

Pace::Pace(const TransferLimits& limits, std::uint64_t to_send) : limits_(limits), to_send_(to_send) {}

void Pace::enter(Phase phase) {
  phase_ = phase;
  waited_ = std::chrono::nanoseconds(0);
  moved_ = 0;
}

void Pace::connected() {
  if (phase_ == Phase::connecting) enter(to_send_ > 0 ? Phase::sending : Phase::waiting);
}

void Pace::sent(std::uint64_t total) {
  if (total < sent_) sent_ = 0;  // sent again from its beginning
  if (total == sent_) return;
  const std::uint64_t bytes = total - sent_;
  sent_ = total;
  if (phase_ == Phase::receiving) return;
  if (total >= to_send_) return enter(Phase::waiting);
  if (phase_ != Phase::sending) enter(Phase::sending);
  moved(bytes);
}

void Pace::received(std::size_t bytes) {
  if (phase_ != Phase::receiving) enter(Phase::receiving);
  moved(bytes);
}

void Pace::moved(std::uint64_t bytes) {
  moved_ += bytes;
  if (waited_ >= limit() && window_is_good()) enter(phase_);
}

void Pace::waited(std::chrono::nanoseconds time) {
  waited_ += time;
  if (has_rate() && waited_ >= limit() && window_is_good()) enter(phase_);
}

bool Pace::window_is_good() const {
  const auto seconds = std::chrono::duration<double>(limit()).count();
  return moved_ > 0 && static_cast<double>(moved_) >= static_cast<double>(limits_.rate) * seconds;
}

std::chrono::nanoseconds Pace::limit() const {
  switch (phase_) {
    case Phase::connecting:
      return limits_.connect;
    case Phase::waiting:
      return limits_.answer;
    case Phase::sending:
      if (limits_.rate == 0) return limits_.window;
      return std::max(limits_.window, std::chrono::milliseconds(kUnseen * 1000 / limits_.rate));
    case Phase::receiving:
      break;
  }
  return limits_.window;
}

std::optional<TransportFailure> Pace::over() const {
  using Kind = TransportFailure::Kind;
  if (waited_ < limit()) return std::nullopt;
  const std::string time = shown(limit());
  if (phase_ == Phase::connecting) return TransportFailure{Kind::connect, cat("no connection within ", time)};
  if (phase_ == Phase::waiting) return TransportFailure{Kind::stalled, cat("no answer within ", time)};
  if (moved_ == 0)
    return TransportFailure{Kind::stalled, cat(phase_ == Phase::sending ? "no data taken for " : "no data for ", time)};
  return TransportFailure{Kind::slow,
                          cat("only ", moved_, " bytes in ", time, ", the least is ", limits_.rate, " bytes/s")};
}

std::chrono::milliseconds Pace::left() const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit() - waited_);
  return std::max(left, std::chrono::milliseconds(1));
}

}  // namespace cbuild::http
