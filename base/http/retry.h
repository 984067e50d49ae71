// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/http/http.h"

namespace cbuild::http {

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7) as seconds since the epoch; nullopt for anything else.
std::optional<std::int64_t> parse_http_date(std::string_view text);

/// Value of a Retry-After header (RFC 9110, 10.2.3), in milliseconds from `now_s` (seconds since the epoch).
std::optional<std::int64_t> parse_retry_after(std::string_view value, std::int64_t now_s);

/// The pause before attempt `attempt` + 1: 1, 3, 8, 8, ... times the delay, plus or minus a quarter.
std::chrono::milliseconds backoff(std::chrono::milliseconds delay, unsigned attempt, double random01);

/// Decides on new attempts and keeps all threads off a host that has asked for a pause. Thread-safe.
class RetryPolicy {
 public:
  struct Options {
    unsigned max_attempts = 5;
    std::chrono::milliseconds delay{1000};
    const CancelSource* cancel = nullptr;
    std::function<void(const std::string&)> warn;
    std::function<bool(const Response&)> is_final;  ///< a refusal that will not pass soon; not set: none
  };
  explicit RetryPolicy(Options options) : options_(std::move(options)) {}

  /// Waits until `origin` may be asked again. Throws Error{cancelled}.
  void wait_turn(const std::string& origin);
  /// Whether the answer to attempt number `attempt` (from 1) is worth another one; waits first. `why` is a
  /// line for the warning. Throws Error{cancelled}.
  bool again(const Response& response, const std::string& origin, unsigned attempt, const std::string& why);
  /// Waits. Throws Error{cancelled}.
  void pause(std::chrono::milliseconds time) const;

 private:
  const Options options_;
  std::mutex mutex_;
  std::map<std::string, std::int64_t> closed_until_ns_;  ///< monotonic, by origin
};

}  // namespace cbuild::http
