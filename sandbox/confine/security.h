// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/confine/capabilities.h"

namespace cbuild::sandbox::confine {

/// Compares an argument of a system call, by the names of the runtime-spec: "SCMP_CMP_EQ".
struct SeccompArgument {
  std::uint32_t index = 0;
  std::uint64_t value = 0, value_two = 0;
  std::string comparison;

  bool operator==(const SeccompArgument&) const = default;
};
/// What happens to calls of these names if all of `arguments` hold; "SCMP_ACT_ALLOW".
struct SeccompRule {
  std::vector<std::string> names;
  std::string action;
  std::uint32_t error = 1;  ///< errno, of SCMP_ACT_ERRNO and SCMP_ACT_TRACE
  std::vector<SeccompArgument> arguments;

  bool operator==(const SeccompRule&) const = default;
};
/// A profile as it counts on this machine: without the rules whose conditions do not hold.
struct SeccompProfile {
  std::string default_action;  ///< empty: there is no profile
  std::uint32_t default_error = 1;
  std::vector<std::string> architectures;  ///< "SCMP_ARCH_X86_64"; the first is the machine's own
  std::vector<SeccompRule> rules;
  std::string digest;  ///< of the file it was read from

  bool operator==(const SeccompProfile&) const = default;
};

/// How a command is confined. An insecure step has all rights, whatever stands here.
struct Security {
  std::uint64_t capabilities = kDefaultCapabilities;
  bool no_new_privileges = false;
  bool filters_calls = true;  ///< false: seccomp=unconfined
  SeccompProfile seccomp;     ///< without one the default profile is used
  std::string apparmor;       ///< a loaded profile, or "unconfined"; empty: ours, where the machine has AppArmor
  std::vector<std::string> label_options;  ///< of SELinux: "disable", "type:T", "user:U", "role:R", "level:L"

  bool operator==(const Security&) const = default;
};

/// The part of a step's cache key: empty for the default, so that keys are those of a build without such flags.
std::vector<std::string> key_texts(const Security& security);

/// The entitlements that it needs, e.g. "security.capabilities". What only takes rights away needs none.
std::vector<std::string> entitlements_of(const Security& security);

}  // namespace cbuild::sandbox::confine
