// SPDX-License-Identifier: Apache-2.0
#include "base/resources.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/csv.h"
#include "base/error.h"
#include "base/text.h"
#include "base/words.h"

namespace cbuild {
namespace {

constexpr std::int64_t kUsualPeriodUs = 100'000;  // the kernel's

[[noreturn]] void refuse_resource(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

std::int64_t bytes(const std::string& key, const std::string& value) {
  const auto size = parse_size(value);
  if (!size) refuse_resource(cat("--resource: ", key, " '", value, "' is not a size"), "for example 512m or 2g");
  return static_cast<std::int64_t>(*size);
}

std::int64_t number(const std::string& key, const std::string& value, std::int64_t low, std::int64_t high) {
  const auto count = parse_int(value);
  if (!count || *count < low || *count > high)
    refuse_resource(cat("--resource: ", key, " '", value, "' is not a number from ", low, " to ", high));
  return *count;
}

/// A list of numbers and ranges, as the kernel reads it.
std::string cpu_list(const std::string& key, const std::string& value) {
  const auto is_list_character = [](char c) { return (c >= '0' && c <= '9') || c == '-' || c == ','; };
  if (value.empty() || !std::all_of(value.begin(), value.end(), is_list_character))
    refuse_resource(cat("--resource: ", key, " '", value, "' is not a list such as 0-2,5"),
                    "with commas: quote the field, '\"cpuset-cpus=0,2\"'");
  return value;
}

using Setter = void (*)(Resources&, const std::string& key, const std::string& value);

const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> table = {
      {"memory", [](Resources& r, const std::string& k, const std::string& v) { r.memory_bytes = bytes(k, v); }},
      {"memory-swap", [](Resources& r, const std::string& k,
                         const std::string& v) { r.memory_swap_bytes = v == "-1" ? -1 : bytes(k, v); }},
      {"cpu-shares", [](Resources& r, const std::string& k,
                        const std::string& v) { r.cpu_shares = static_cast<std::uint64_t>(number(k, v, 2, 262'144)); }},
      {"cpu-period", [](Resources& r, const std::string& k,
                        const std::string& v) { r.cpu_period_us = number(k, v, 1'000, 1'000'000); }},
      {"cpu-quota", [](Resources& r, const std::string& k,
                       const std::string& v) { r.cpu_quota_us = number(k, v, 1'000, 1'000'000'000'000); }},
      {"cpuset-cpus", [](Resources& r, const std::string& k, const std::string& v) { r.cpuset_cpus = cpu_list(k, v); }},
      {"cpuset-mems",
       [](Resources& r, const std::string& k, const std::string& v) { r.cpuset_mems = cpu_list(k, v); }}};
  return table;
}

/// Whether a quota is less of the processors than another one; both have one.
bool is_smaller_quota(const Resources& a, const Resources& b) {
  const auto period = [](const Resources& r) { return r.cpu_period_us > 0 ? r.cpu_period_us : kUsualPeriodUs; };
  return static_cast<double>(a.cpu_quota_us) / static_cast<double>(period(a)) <
         static_cast<double>(b.cpu_quota_us) / static_cast<double>(period(b));
}

void take_quota(Resources& to, const Resources& from) {
  to.cpu_quota_us = from.cpu_quota_us;
  to.cpu_period_us = from.cpu_period_us;
}

/// The lower of two limits of which 0 is none.
template <typename Number>
Number lower_of(Number a, Number b) {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

/// The same of memory with swap, of which -1 is as much as there is.
std::int64_t lower_swap(std::int64_t a, std::int64_t b) {
  return a < 0 || b < 0 ? (a == 0 || b == 0 ? -1 : std::max(a, b)) : lower_of(a, b);
}

}  // namespace

void add_resources(const std::string& text, Resources& resources) {
  for (const std::string& field : csv_fields(text, "--resource")) {
    const std::size_t equals = field.find('=');
    if (equals == std::string::npos) refuse_resource(cat("--resource: '", field, "' is not KEY=VALUE"));
    const std::string key = to_lower(trim(field.substr(0, equals)));
    const auto setter = setters().find(key);
    if (setter == setters().end()) {
      std::vector<std::string> known;
      for (const auto& [name, unused] : setters()) known.push_back(name);
      refuse_resource(cat("--resource: unknown key '", key, "'"), word_hint(key, known, "keys"));
    }
    setter->second(resources, key, field.substr(equals + 1));
  }
  if (resources.memory_swap_bytes > 0 && resources.memory_swap_bytes < resources.memory_bytes)
    refuse_resource("--resource: memory-swap is memory and swap together, it cannot be less than memory");
}

Resources stricter(const Resources& own, const Resources& bound) {
  Resources out = own;
  out.memory_bytes = lower_of(own.memory_bytes, bound.memory_bytes);
  out.memory_swap_bytes = lower_swap(own.memory_swap_bytes, bound.memory_swap_bytes);
  if (out.memory_swap_bytes > 0) out.memory_bytes = lower_of(out.memory_bytes, out.memory_swap_bytes);
  out.cpu_shares = lower_of(own.cpu_shares, bound.cpu_shares);
  const bool bounded = bound.cpu_quota_us > 0;
  if (bounded && (own.cpu_quota_us == 0 || is_smaller_quota(bound, own))) take_quota(out, bound);
  if (!bound.cpuset_cpus.empty()) out.cpuset_cpus = bound.cpuset_cpus;
  if (!bound.cpuset_mems.empty()) out.cpuset_mems = bound.cpuset_mems;
  return out;
}

Resources looser(const Resources& one, const Resources& other) {
  const auto higher = [](auto a, auto b) { return a == 0 || b == 0 ? 0 : std::max(a, b); };
  Resources out;
  out.memory_bytes = higher(one.memory_bytes, other.memory_bytes);
  const bool any_swap = one.memory_swap_bytes < 0 || other.memory_swap_bytes < 0;
  out.memory_swap_bytes = any_swap ? -1 : higher(one.memory_swap_bytes, other.memory_swap_bytes);
  if (one.cpu_shares != 0 && other.cpu_shares != 0) out.cpu_shares = std::max(one.cpu_shares, other.cpu_shares);
  if (one.cpu_quota_us > 0 && other.cpu_quota_us > 0) take_quota(out, is_smaller_quota(one, other) ? other : one);
  if (one.cpuset_cpus == other.cpuset_cpus) out.cpuset_cpus = one.cpuset_cpus;
  if (one.cpuset_mems == other.cpuset_mems) out.cpuset_mems = one.cpuset_mems;
  return out;
}

}  // namespace cbuild
