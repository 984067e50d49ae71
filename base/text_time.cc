// SPDX-License-Identifier: Apache-2.0
// RFC 3339 times in UTC. std::chrono does the calendar; the C library's functions would read the time zone from the
// environment, and std::chrono::parse is missing from GCC 12.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/text.h"

namespace cbuild {

namespace {

namespace chrono = std::chrono;

constexpr std::int64_t kBillion = 1'000'000'000;
constexpr chrono::sys_seconds kFirstTime = chrono::sys_days(chrono::year(0) / 1 / 1);
constexpr chrono::sys_seconds kTimesEnd = chrono::sys_days(chrono::year(10'000) / 1 / 1);

std::string format_date_time(chrono::seconds since_1970) {
  const chrono::sys_seconds time =
      std::clamp(chrono::sys_seconds(since_1970), kFirstTime, kTimesEnd - chrono::seconds(1));
  const auto day = chrono::floor<chrono::days>(time);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss clock(time - day);
  char text[96];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

/// Consumes a text front to back; the first failure sticks.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  std::int64_t number(std::size_t width, std::int64_t min, std::int64_t max) {
    std::int64_t value = 0;
    if (rest_.size() < width) return fail();
    for (const char c : rest_.substr(0, width)) {
      if (c < '0' || c > '9') return fail();
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(width);
    return value < min || value > max ? fail() : value;
  }
  bool accept(char c) {
    if (!ok_ || !rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail();
  }
  /// Digits after a decimal point as nanoseconds; more than nine are cut.
  std::int64_t nanoseconds() {
    const std::size_t count = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    if (count == 0) return fail();
    std::int64_t value = 0;
    for (std::size_t i = 0; i < 9; ++i) value = value * 10 + (i < count ? rest_[i] - '0' : 0);
    rest_.remove_prefix(count);
    return value;
  }
  bool complete() const { return ok_ && rest_.empty(); }

 private:
  std::int64_t fail() {
    ok_ = false;
    return 0;
  }

  std::string_view rest_;
  bool ok_ = true;
};

std::int64_t parse_offset(Scanner& in) {
  if (in.accept('Z')) return 0;
  const std::int64_t sign = in.accept('-') ? -1 : 1;
  if (sign > 0) in.expect('+');
  const std::int64_t hours = in.number(2, 0, 23);
  in.expect(':');
  return sign * (hours * 3600 + in.number(2, 0, 59) * 60);
}

}  // namespace

std::string format_rfc3339(std::int64_t epoch_s) { return format_date_time(chrono::seconds(epoch_s)) + 'Z'; }

std::string format_rfc3339_ns(std::int64_t epoch_ns) {
  const auto second = chrono::floor<chrono::seconds>(chrono::nanoseconds(epoch_ns));
  // Not from `second` in nanoseconds, which the first instants that an epoch_ns can name are below.
  const std::int64_t nanoseconds = (epoch_ns % kBillion + kBillion) % kBillion;
  std::string fraction = std::to_string(kBillion + nanoseconds).substr(1);
  fraction.resize(fraction.find_last_not_of('0') + 1);
  return cat(format_date_time(second), fraction.empty() ? "" : ".", fraction, 'Z');
}

std::optional<std::int64_t> parse_rfc3339_ns(std::string_view text) {
  Scanner in(text);
  const chrono::year year(static_cast<int>(in.number(4, 0, 9999)));
  in.expect('-');
  const chrono::month month(static_cast<unsigned>(in.number(2, 1, 12)));
  in.expect('-');
  const chrono::year_month_day date(year, month, chrono::day(static_cast<unsigned>(in.number(2, 1, 31))));
  in.expect('T');
  std::int64_t second = in.number(2, 0, 23) * 3600;
  in.expect(':');
  second += in.number(2, 0, 59) * 60;
  in.expect(':');
  second += in.number(2, 0, 59);
  const std::int64_t ns = in.accept('.') ? in.nanoseconds() : 0;
  second -= parse_offset(in);
  if (!in.complete() || !date.ok()) return std::nullopt;

  std::int64_t result = 0;
  // One second less, so that the seconds before 1970 do not overflow on the way to a value that fits.
  second += chrono::sys_seconds(chrono::sys_days(date)).time_since_epoch().count();
  const bool negative = second < 0;
  if (__builtin_mul_overflow(second + (negative ? 1 : 0), kBillion, &result) ||
      __builtin_add_overflow(result, ns - (negative ? kBillion : 0), &result))
    return std::nullopt;
  return result;
}

}  // namespace cbuild
