// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/filter.h>

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/confine/security.h"

namespace cbuild::sandbox::confine {

/// What the conditions of rules are compared with.
struct ProfileConditions {
  std::uint64_t capabilities = kDefaultCapabilities;
  std::string architecture;  ///< as Go calls it: "amd64"
  std::uint32_t kernel_major = 0, kernel_minor = 0;
};
/// Of this machine.
ProfileConditions own_conditions(std::uint64_t capabilities);

/// A profile in docker's form (profiles/seccomp of moby, and the linux.seccomp of the runtime-spec, which it extends).
/// `name` is the file, for messages. Throws Error{usage} "FILE:LINE: ..." with a hint for text that is not a profile.
SeccompProfile parse_seccomp_profile(std::string_view text, const std::string& name,
                                     const ProfileConditions& conditions);

/// The program for seccomp(2), made by libseccomp. As runc does it, calls that are newer than all that the profile
/// names get ENOSYS where it denies by default, so that programs fall back. Throws Error{usage}.
std::vector<sock_filter> compile_profile(const SeccompProfile& profile);

}  // namespace cbuild::sandbox::confine
