// SPDX-License-Identifier: Apache-2.0
// Which failures deserve another attempt, how many, and after what pause. Failures that look permanent (unknown host,
// refused connection, broken TLS) get few attempts, so that a typing error shows quickly; overload and broken
// connections get all. A Retry-After of a server holds for all requests of this process to that origin, unless it asks
// for minutes: then the error is shown instead.
#include "base/http/retry.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <thread>

#include "base/sys.h"
#include "base/text.h"

namespace cbuild::http {

namespace {

constexpr std::int64_t kLongestPauseMs = 120'000;  // a registry that wants more gets its error shown instead

std::optional<int> month_number(std::string_view name) {
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto it = std::find(kMonths.begin(), kMonths.end(), name);
  if (it == kMonths.end()) return std::nullopt;
  return static_cast<int>(it - kMonths.begin()) + 1;
}

/// How many attempts a kind of failure is worth at most.
unsigned worth(const Response& response, unsigned max_attempts) {
  using Kind = TransportFailure::Kind;
  if (response.failure) {
    switch (response.failure->kind) {
      case Kind::resolve:
      case Kind::connect:
      case Kind::tls:
      case Kind::damaged:
        return std::min(2u, max_attempts);  // a typo in a host name should not take a minute to show
      case Kind::slow:
        return std::min(3u, max_attempts);
      case Kind::stalled:  // a server that never says a word should not take minutes to show
        return response.status == 0 ? std::min(2u, max_attempts) : max_attempts;
      case Kind::broken:
        return max_attempts;
      default:
        return 1;
    }
  }
  switch (response.status) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return max_attempts;
    default:
      return 1;
  }
}

double random01() {
  thread_local std::minstd_rand engine(static_cast<std::minstd_rand::result_type>(sys::monotonic_ns()));
  return std::uniform_real_distribution<double>(0, 1)(engine);
}

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  const std::vector<std::string> parts = split(text, ' ');
  if (parts.size() != 6 || parts[5] != "GMT") return std::nullopt;
  const std::optional<int> month = month_number(parts[2]);
  if (!month) return std::nullopt;
  const std::string iso = cat(parts[3], *month < 10 ? "-0" : "-", *month, '-', parts[1], 'T', parts[4], 'Z');
  const auto ns = parse_rfc3339_ns(iso);
  return ns ? std::optional(*ns / 1'000'000'000) : std::nullopt;
}

std::optional<std::int64_t> parse_retry_after(std::string_view value, std::int64_t now_s) {
  value = trim(value);
  if (const auto seconds = parse_int(value)) {
    if (*seconds < 0) return std::nullopt;
    return std::min<std::int64_t>(*seconds, 1'000'000) * 1000;
  }
  const auto date = parse_http_date(value);
  if (!date) return std::nullopt;
  return std::clamp<std::int64_t>(*date - now_s, 0, 1'000'000) * 1000;
}

std::chrono::milliseconds backoff(std::chrono::milliseconds delay, unsigned attempt, double random) {
  const int factor = attempt <= 1 ? 1 : attempt == 2 ? 3 : 8;
  const double exact = static_cast<double>(delay.count()) * factor * (0.75 + 0.5 * random);
  return std::chrono::milliseconds(std::llround(exact));
}

void RetryPolicy::pause(std::chrono::milliseconds time) const {
  if (options_.cancel == nullptr) {
    std::this_thread::sleep_for(time);
    return;
  }
  pollfd wake{options_.cancel->event_fd(), POLLIN, 0};
  ::poll(&wake, 1, static_cast<int>(time.count()));  // an early return only makes the pause shorter
  options_.cancel->check();
}

void RetryPolicy::wait_turn(const std::string& origin) {
  while (true) {
    std::int64_t left_ns = 0;
    {
      const std::lock_guard lock(mutex_);
      const auto it = closed_until_ns_.find(origin);
      if (it == closed_until_ns_.end()) return;
      left_ns = it->second - sys::monotonic_ns();
      if (left_ns <= 0) {
        closed_until_ns_.erase(it);
        return;
      }
    }
    pause(std::chrono::milliseconds(left_ns / 1'000'000 + 1));
  }
}

bool RetryPolicy::again(const Response& response, const std::string& origin, unsigned attempt, const std::string& why) {
  if (attempt >= worth(response, options_.max_attempts)) return false;
  if (options_.is_final && options_.is_final(response)) return false;
  std::chrono::milliseconds pause = backoff(options_.delay, attempt, random01());
  if (const auto asked = parse_retry_after(response.header("retry-after"), sys::now_ns() / 1'000'000'000)) {
    if (*asked > kLongestPauseMs) return false;
    pause = std::chrono::milliseconds(*asked);
    const std::lock_guard lock(mutex_);
    std::int64_t& until = closed_until_ns_[origin];
    until = std::max(until, sys::monotonic_ns() + pause.count() * 1'000'000);
  }
  if (options_.warn) options_.warn(cat(why, "; trying again (", attempt + 1, " of ", options_.max_attempts, ')'));
  this->pause(pause);
  return true;
}

}  // namespace cbuild::http
