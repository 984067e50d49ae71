// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/config_signal.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "base/text.h"

namespace cbuild::frontend {

namespace {

constexpr std::array<std::string_view, 36> kSignalNames = {
    "ABRT", "ALRM", "BUS",  "CHLD", "CLD",  "CONT", "FPE",    "HUP",    "ILL",  "INT",  "IO",    "IOT",
    "KILL", "PIPE", "POLL", "PROF", "PWR",  "QUIT", "SEGV",   "STKFLT", "STOP", "SYS",  "TERM",  "TRAP",
    "TSTP", "TTIN", "TTOU", "URG",  "USR1", "USR2", "VTALRM", "WINCH",  "XCPU", "XFSZ", "RTMIN", "RTMAX"};

/// "RTMIN+1" to "RTMIN+15", "RTMAX-14" to "RTMAX-1".
bool is_real_time(std::string_view name) {
  const bool from_min = name.starts_with("RTMIN+"), from_max = name.starts_with("RTMAX-");
  if (!from_min && !from_max) return false;
  const std::string_view digits = name.substr(6);
  const std::optional<std::int64_t> offset = parse_int(digits);
  return offset && *offset >= 1 && *offset <= (from_min ? 15 : 14) && std::to_string(*offset) == digits;
}

}  // namespace

bool is_stop_signal(std::string_view text) {
  if (const std::optional<std::int64_t> number = parse_int(text)) return *number != 0;
  const std::string upper = to_upper(text);
  std::string_view name = upper;
  if (name.starts_with("SIG")) name.remove_prefix(3);
  return std::find(kSignalNames.begin(), kSignalNames.end(), name) != kSignalNames.end() || is_real_time(name);
}

}  // namespace cbuild::frontend
