// SPDX-License-Identifier: Apache-2.0
// Values of the flags about steps: --resource, --step-timeout, --add-host, --allow. All of them are checked when the
// command line is read: a mistake must not show up after minutes of building.
#include "cli/flags/step_limits.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"
#include "exporter/destination.h"
#include "frontend/text/grammar.h"

namespace cbuild::cli {
namespace {

using sandbox::Resources;

[[noreturn]] void refuse_limit(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

std::int64_t bytes(const std::string& key, const std::string& value) {
  const auto size = parse_size(value);
  if (!size) refuse_limit(cat("--resource: ", key, " '", value, "' is not a size"), "for example 512m or 2g");
  return static_cast<std::int64_t>(*size);
}

std::int64_t number(const std::string& key, const std::string& value, std::int64_t low, std::int64_t high) {
  const auto count = parse_int(value);
  if (!count || *count < low || *count > high)
    refuse_limit(cat("--resource: ", key, " '", value, "' is not a number from ", low, " to ", high));
  return *count;
}

/// A list of numbers and ranges, as the kernel reads it.
std::string cpu_list(const std::string& key, const std::string& value) {
  const auto is_list_character = [](char c) { return (c >= '0' && c <= '9') || c == '-' || c == ','; };
  if (value.empty() || !std::all_of(value.begin(), value.end(), is_list_character))
    refuse_limit(cat("--resource: ", key, " '", value, "' is not a list such as 0-2,5"),
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

std::vector<std::string> fields_of(const std::string& text) {
  try {
    return frontend::parse_csv(text);
  } catch (const Error& error) {
    refuse_limit(cat("--resource: ", error.message()));
  }
}

bool is_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

}  // namespace

void add_resources(const std::string& text, Resources& resources) {
  for (const std::string& field : fields_of(text)) {
    const std::size_t equals = field.find('=');
    if (equals == std::string::npos) refuse_limit(cat("--resource: '", field, "' is not KEY=VALUE"));
    const std::string key = to_lower(trim(field.substr(0, equals)));
    const auto setter = setters().find(key);
    if (setter == setters().end()) {
      std::vector<std::string> known;
      for (const auto& [name, unused] : setters()) known.push_back(name);
      refuse_limit(cat("--resource: unknown key '", key, "'"), word_hint(key, known, "keys"));
    }
    setter->second(resources, key, field.substr(equals + 1));
  }
  if (resources.memory_swap_bytes > 0 && resources.memory_swap_bytes < resources.memory_bytes)
    refuse_limit("--resource: memory-swap is memory and swap together, it cannot be less than memory");
}

std::int64_t parse_step_timeout(const std::string& text) {
  const auto ns = parse_duration_ns(text);
  if (!ns || *ns < 0)
    refuse_limit(cat("--step-timeout: '", text, "' is not a duration"), "write a number with a unit: 90s, 10m");
  return *ns;
}

std::string parse_extra_host(const std::string& text) {
  std::size_t at = text.find('=');
  if (at == std::string::npos) at = text.find(':');
  if (at == std::string::npos || at == 0 || at + 1 == text.size())
    refuse_limit(cat("--add-host: '", text, "' is not HOST:IP"));
  const auto ends_a_name = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 127 || c == '#'; };
  if (std::any_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), ends_a_name))
    refuse_limit(cat("--add-host: '", text.substr(0, at), "' is not the name of a host"));
  std::string ip = text.substr(at + 1);
  if (ip == "host-gateway") ip = "127.0.0.1";  // steps are on this machine's network, where it is itself
  if (ip.starts_with('[') && ip.ends_with(']')) ip = ip.substr(1, ip.size() - 2);
  if (!is_address(ip))
    refuse_limit(cat("--add-host: '", ip, "' is not an IP address"), "HOST:IP, or HOST:host-gateway for this machine");
  return cat(text.substr(0, at), '=', ip);
}

void check_entitlement(const std::string& text) {
  static const std::vector<std::string> known = {"network.host", "security.insecure", "device",
                                                 std::string(exporter::kLocalDelete)};
  if (std::find(known.begin(), known.end(), text) != known.end()) return;
  if (text.starts_with("device=") && text.size() > 7) return;
  if (text.starts_with(cat(exporter::kLocalDelete, "=")))
    refuse_limit(cat("--allow: ", exporter::kLocalDelete, " takes no value"));
  const auto near = suggest(text, known);
  refuse_limit(cat("--allow: unknown entitlement '", text, "'"),
               near ? cat("did you mean ", *near, "?")
                    : "network.host, security.insecure, device, device=NAME or buildx.local.delete");
}

}  // namespace cbuild::cli
