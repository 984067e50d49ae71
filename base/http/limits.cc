// SPDX-License-Identifier: Apache-2.0
#include "base/http/limits.h"

#include <cstdlib>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::http {

namespace {

constexpr char kLimitsVariable[] = "CBUILD_TRANSFER_LIMITS";
constexpr std::int64_t kShortestLimitMs = 100, kLongestLimitMs = 24 * 3'600'000;

std::chrono::milliseconds parse_limit(std::string_view flag, const std::string& key, const std::string& value) {
  const auto ns = parse_duration_ns(value);
  const std::int64_t ms = ns ? *ns / 1'000'000 : 0;
  if (ms >= kShortestLimitMs && ms <= kLongestLimitMs) return std::chrono::milliseconds(ms);
  throw Error(ErrorCode::usage, cat(flag, ": ", key, " '", value, "' is not a time from 100ms to 24h"));
}

std::uint64_t parse_rate(std::string_view flag, const std::string& value) {
  const auto rate = parse_size(value);
  if (rate && *rate <= (std::uint64_t{1} << 40)) return *rate;
  throw Error(ErrorCode::usage, cat(flag, ": rate '", value, "' is not a number of bytes per second"));
}

}  // namespace

void set_transfer_limits(std::string_view text, std::string_view flag, TransferLimits& limits) {
  for (const std::string& field : split(text, ',')) {
    const std::size_t equals = field.find('=');
    if (equals == std::string::npos) throw Error(ErrorCode::usage, cat(flag, ": '", field, "' is not KEY=VALUE"));
    const std::string key(trim(std::string_view(field).substr(0, equals)));
    const std::string value(trim(std::string_view(field).substr(equals + 1)));
    if (key == "connect") {
      limits.connect = parse_limit(flag, key, value);
    } else if (key == "answer") {
      limits.answer = parse_limit(flag, key, value);
    } else if (key == "window") {
      limits.window = parse_limit(flag, key, value);
    } else if (key == "rate") {
      limits.rate = parse_rate(flag, value);
    } else {
      throw Error(ErrorCode::usage, cat(flag, ": unknown key '", key, "'"))
          .with_hint("keys: connect, answer, window, rate");
    }
  }
}

TransferLimits transfer_limits_of_environment() {
  TransferLimits limits;
  const char* text = std::getenv(kLimitsVariable);
  if (text != nullptr && *text != '\0') set_transfer_limits(text, kLimitsVariable, limits);
  return limits;
}

}  // namespace cbuild::http
