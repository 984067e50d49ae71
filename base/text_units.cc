// SPDX-License-Identifier: Apache-2.0
// Sizes and durations as docker and Go read and print them. The arithmetic is Go's, including where it cuts a fraction
// instead of rounding it and where it overflows: the values end up in image configurations, which must not differ from
// BuildKit's.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "base/text.h"

namespace cbuild {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000, kMinute = 60 * kSecond, kHour = 60 * kMinute;

struct Unit {
  std::string_view name;
  std::uint64_t ns;
};
/// Both code points that mean micro are accepted, as Go does.
constexpr std::array kUnits = {Unit{"ns", 1},
                               Unit{"us", 1'000},
                               Unit{"\u00b5s", 1'000},
                               Unit{"\u03bcs", 1'000},
                               Unit{"ms", 1'000'000},
                               Unit{"s", std::uint64_t(kSecond)},
                               Unit{"m", std::uint64_t(kMinute)},
                               Unit{"h", std::uint64_t(kHour)}};

constexpr std::string_view kDigits = "0123456789";
constexpr std::uint64_t kMaxMagnitude = std::uint64_t{1} << 63;

std::string_view take(std::string_view& text, std::size_t count) {
  const std::string_view head = text.substr(0, count);
  text.remove_prefix(head.size());
  return head;
}

std::string_view take_digits(std::string_view& text) {
  return take(text, std::min(text.find_first_not_of(kDigits), text.size()));
}

/// Power of 1024 of a size suffix without blanks ("", "b", "k", "kb", "kib").
std::optional<int> size_exponent(std::string_view suffix) {
  if (suffix.empty() || iequals(suffix, "b")) return 0;
  const std::size_t power = std::string_view("kmgtp").find(to_lower(suffix.substr(0, 1)));
  const std::string_view rest = suffix.substr(1);
  if (power == std::string_view::npos || !(rest.empty() || iequals(rest, "b") || iequals(rest, "ib")))
    return std::nullopt;
  return static_cast<int>(power) + 1;
}

/// One "<digits>[.<digits>]<unit>" of a duration, in nanoseconds; at most 2^63.
std::optional<std::uint64_t> take_duration_part(std::string_view& text) {
  const std::string_view whole = take_digits(text);
  std::string_view fraction;
  if (text.starts_with('.')) {
    take(text, 1);
    fraction = take_digits(text);
  }
  if (whole.empty() && fraction.empty()) return std::nullopt;
  const std::string_view name = take(text, std::min(text.find_first_of(".0123456789"), text.size()));
  const auto unit = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == name; });
  if (unit == kUnits.end()) return std::nullopt;

  std::uint64_t value = 0;
  for (const char c : whole) {
    if (value > kMaxMagnitude / 10) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (value > kMaxMagnitude / unit->ns) return std::nullopt;
  value *= unit->ns;
  // In double precision and cut, not rounded, as Go computes it.
  std::uint64_t numerator = 0;
  double denominator = 1;
  for (const char c : fraction) {
    if (numerator > (kMaxMagnitude - 1) / 10) break;
    const std::uint64_t next = numerator * 10 + static_cast<std::uint64_t>(c - '0');
    if (next > kMaxMagnitude) break;
    numerator = next;
    denominator *= 10;
  }
  value += static_cast<std::uint64_t>(static_cast<double>(numerator) * (static_cast<double>(unit->ns) / denominator));
  return value > kMaxMagnitude ? std::nullopt : std::optional(value);
}

/// `value` / 10^digits without trailing zeros ("1.5", "2").
std::string trimmed_fraction(std::uint64_t value, int digits) {
  std::uint64_t scale = 1;
  for (int i = 0; i < digits; ++i) scale *= 10;
  std::string out = std::to_string(value / scale);
  std::string fraction = std::to_string(scale + value % scale).substr(1);
  fraction.resize(fraction.find_last_not_of('0') + 1);
  return fraction.empty() ? out : cat(out, '.', fraction);
}

std::uint64_t magnitude(std::int64_t value) {
  return value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const std::string_view whole = take_digits(text);
  std::string_view fraction;
  if (text.starts_with('.')) {
    take(text, 1);
    fraction = take_digits(text);
  }
  if (whole.empty() && fraction.empty()) return std::nullopt;
  if (text.starts_with(' ')) take(text, 1);
  const std::optional<int> exponent = size_exponent(text);
  if (!exponent) return std::nullopt;

  long double value = 0;
  for (const char c : whole) value = value * 10 + (c - '0');
  long double weight = 1;
  for (const char c : fraction) value += (weight /= 10) * (c - '0');
  value = std::ldexp(value, 10 * *exponent);
  if (!(value < static_cast<long double>(std::numeric_limits<std::int64_t>::max()))) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

std::optional<std::int64_t> parse_duration_ns(std::string_view text) {
  bool negative = false;
  if (text.starts_with('-') || text.starts_with('+')) negative = take(text, 1) == "-";
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  std::uint64_t total = 0;
  while (!text.empty()) {
    const std::optional<std::uint64_t> part = take_duration_part(text);
    if (!part || *part > kMaxMagnitude - total) return std::nullopt;
    total += *part;
  }
  if (negative) return static_cast<std::int64_t>(~total + 1);
  return total == kMaxMagnitude ? std::nullopt : std::optional(static_cast<std::int64_t>(total));
}

std::string format_size(std::uint64_t bytes) {
  if (bytes < 1000) return cat(bytes, " B");
  constexpr std::string_view kPrefixes = "kMGTPE";
  double value = static_cast<double>(bytes) / 1000;
  std::size_t prefix = 0;
  // 999.95 would print as 1000.0.
  for (; value >= 999.95 && prefix + 1 < kPrefixes.size(); ++prefix) value /= 1000;
  char number[32];
  std::snprintf(number, sizeof number, "%.1f", value);
  return cat(number, ' ', kPrefixes[prefix], 'B');
}

std::string format_seconds(std::int64_t ns) {
  const std::uint64_t size = magnitude(ns);
  const std::string sign = ns < 0 ? "-" : "";
  const std::uint64_t tenths = (size + 50'000'000) / 100'000'000;
  if (tenths < 600) return cat(sign, tenths / 10, '.', tenths % 10, 's');
  const std::uint64_t seconds = (size + 500'000'000) / 1'000'000'000;
  char text[48];
  if (seconds < 3600)
    std::snprintf(text, sizeof text, "%dm%02ds", static_cast<int>(seconds / 60), static_cast<int>(seconds % 60));
  else
    std::snprintf(text, sizeof text, "%lluh%02dm%02ds", static_cast<unsigned long long>(seconds / 3600),
                  static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  return sign + text;
}

std::string format_go_duration(std::int64_t ns) {
  if (ns == 0) return "0s";
  const std::string sign = ns < 0 ? "-" : "";
  const std::uint64_t size = magnitude(ns);
  if (size < 1'000) return cat(sign, size, "ns");
  if (size < 1'000'000) return cat(sign, trimmed_fraction(size, 3), "\u00b5s");
  if (size < static_cast<std::uint64_t>(kSecond)) return cat(sign, trimmed_fraction(size, 6), "ms");
  const std::uint64_t minutes = size / kMinute;
  std::string out = cat(trimmed_fraction(size % kMinute, 9), 's');
  if (minutes > 0) out.insert(0, cat(minutes % 60, 'm'));
  if (minutes >= 60) out.insert(0, cat(minutes / 60, 'h'));
  return sign + out;
}

}  // namespace cbuild
