// SPDX-License-Identifier: Apache-2.0
// RFC 3339 times in UTC without the C library's time zones. Days are counted in eras of 400 years that begin in March,
// so that the leap day is the last of its year and no table of months is needed.
#include <cstdio>

#include "base/text.h"

namespace cbuild {

namespace {

constexpr std::int64_t kDay = 86'400, kBillion = 1'000'000'000;
constexpr std::int64_t kDaysPerEra = 146'097, kEpochDay = 719'468;  // 0000-03-01 to 1970-01-01

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

struct Date {
  std::int64_t year, month, day;
};

Date date_of_day(std::int64_t days) {
  days += kEpochDay;
  const std::int64_t era = floor_div(days, kDaysPerEra), day_of_era = days - era * kDaysPerEra;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted = (5 * day_of_year + 2) / 153;
  const std::int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day_of_year - (153 * shifted + 2) / 5 + 1};
}

std::int64_t day_of_date(Date date) {
  const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
  const std::int64_t era = floor_div(year, 400), year_of_era = year - era * 400;
  const std::int64_t shifted = date.month > 2 ? date.month - 3 : date.month + 9;
  const std::int64_t day_of_year = (153 * shifted + 2) / 5 + date.day - 1;
  return era * kDaysPerEra + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - kEpochDay;
}

std::string format_date_time(std::int64_t epoch_s) {
  const std::int64_t day = floor_div(epoch_s, kDay), second = epoch_s - day * kDay;
  const Date date = date_of_day(day);
  char text[96];
  std::snprintf(text, sizeof text, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lld", static_cast<long long>(date.year),
                static_cast<long long>(date.month), static_cast<long long>(date.day),
                static_cast<long long>(second / 3600), static_cast<long long>(second / 60 % 60),
                static_cast<long long>(second % 60));
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

std::int64_t days_in_month(std::int64_t year, std::int64_t month) {
  const Date next = month == 12 ? Date{year + 1, 1, 1} : Date{year, month + 1, 1};
  return day_of_date(next) - day_of_date({year, month, 1});
}

std::int64_t parse_offset(Scanner& in) {
  if (in.accept('Z')) return 0;
  const std::int64_t sign = in.accept('-') ? -1 : 1;
  if (sign > 0) in.expect('+');
  const std::int64_t hours = in.number(2, 0, 23);
  in.expect(':');
  return sign * (hours * 3600 + in.number(2, 0, 59) * 60);
}

}  // namespace

std::string format_rfc3339(std::int64_t epoch_s) { return format_date_time(epoch_s) + 'Z'; }

std::string format_rfc3339_ns(std::int64_t epoch_ns) {
  const std::int64_t second = floor_div(epoch_ns, kBillion);
  // Not from `second * kBillion`, which the first instants that an epoch_ns can name are below.
  const std::int64_t nanoseconds = (epoch_ns % kBillion + kBillion) % kBillion;
  std::string fraction = std::to_string(kBillion + nanoseconds).substr(1);
  fraction.resize(fraction.find_last_not_of('0') + 1);
  return cat(format_date_time(second), fraction.empty() ? "" : ".", fraction, 'Z');
}

std::optional<std::int64_t> parse_rfc3339_ns(std::string_view text) {
  Scanner in(text);
  Date date{};
  date.year = in.number(4, 0, 9999);
  in.expect('-');
  date.month = in.number(2, 1, 12);
  in.expect('-');
  date.day = in.number(2, 1, 31);
  in.expect('T');
  std::int64_t second = in.number(2, 0, 23) * 3600;
  in.expect(':');
  second += in.number(2, 0, 59) * 60;
  in.expect(':');
  second += in.number(2, 0, 59);
  const std::int64_t ns = in.accept('.') ? in.nanoseconds() : 0;
  second -= parse_offset(in);
  if (!in.complete() || date.day > days_in_month(date.year, date.month)) return std::nullopt;

  std::int64_t result = 0;
  // One second less, so that the seconds before 1970 do not overflow on the way to a value that fits.
  second += day_of_date(date) * kDay;
  const bool negative = second < 0;
  if (__builtin_mul_overflow(second + (negative ? 1 : 0), kBillion, &result) ||
      __builtin_add_overflow(result, ns - (negative ? kBillion : 0), &result))
    return std::nullopt;
  return result;
}

}  // namespace cbuild
