// SPDX-License-Identifier: Apache-2.0
#include "sandbox/confine/capabilities.h"

#include <array>

#include "base/text.h"

namespace cbuild::sandbox::confine {
namespace {

constexpr std::array<std::string_view, 41> kNames = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

std::string without_prefix(std::string_view name) {
  std::string upper = to_upper(name);
  return upper.starts_with("CAP_") ? upper.substr(4) : upper;
}

}  // namespace

std::optional<std::uint64_t> capability_bit(std::string_view name) {
  const std::string wanted = without_prefix(name);
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == wanted) return std::uint64_t{1} << i;
  return std::nullopt;
}

std::vector<std::string> capability_names(std::uint64_t set) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (((set >> i) & 1) != 0) names.push_back(cat("CAP_", kNames[i]));
  return names;
}

std::optional<std::string> similar_capability(const std::string& name) {
  const std::vector<std::string> names(kNames.begin(), kNames.end());
  return suggest(without_prefix(name), names);
}

}  // namespace cbuild::sandbox::confine
