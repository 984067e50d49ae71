// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace cbuild::sandbox {

/// The filter's answer to one system call.
enum class Verdict : std::uint8_t {
  allow,
  deny,           ///< EPERM
  missing,        ///< ENOSYS, so that a libc falls back to an older call
  socket_family,  ///< allowed but for AF_ALG and AF_VSOCK
  personality,    ///< allowed for the harmless execution domains
  clone_flags,    ///< allowed without new namespaces
};

struct NumberedCall {
  const char* name;
  std::uint32_t number;
};
struct ConditionalCall {
  const char* name;
  Verdict verdict;
};

/// Calls that come with a capability.
struct CallsOfCapability {
  const char* capability;
  std::span<const char* const> names;
};

/// The default profile; every other call is denied. Names that an architecture lacks are not errors.
std::span<const char* const> allowed_calls();
std::span<const NumberedCall> allowed_new_calls();
std::span<const ConditionalCall> conditional_calls();
std::span<const CallsOfCapability> calls_of_capabilities();
/// i386 only: numbers of calls that also exist behind socketcall and ipc.
std::span<const NumberedCall> x86_direct_calls();

}  // namespace cbuild::sandbox
