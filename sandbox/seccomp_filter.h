// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <vector>

#include "sandbox/confine/capabilities.h"
#include "sandbox/seccomp_profile.h"

namespace cbuild::sandbox {

/// The system calls of one architecture: `verdicts` sorted by number, without duplicates. Numbers above the largest get
/// ENOSYS, as runc does it, so that programs probing for new calls fall back; a number that is not listed below it gets
/// EPERM.
struct ArchitectureCalls {
  std::uint32_t audit_arch = 0;
  std::vector<std::pair<std::uint32_t, Verdict>> verdicts;
};

/// The default profile for this machine's architecture and those it also runs (x86_64: i386 and x32; arm64:
/// arm).
/// `capabilities`: those of the step, some of which come with system calls of their own.
std::vector<ArchitectureCalls> default_calls(std::uint64_t capabilities = confine::kDefaultCapabilities);

/// Compiles to classic BPF for seccomp(2): one binary search over number ranges per architecture. Only the
/// low word of an argument is looked at, because the kernel too takes an int from it: a 64-bit comparison
/// lets socket(0x100000028) pass as "above AF_VSOCK" and makes a vsock of it. x32 calls are those of x86_64
/// with bit 30 set. Foreign architectures are killed.
std::vector<sock_filter> compile_filter(std::span<const ArchitectureCalls> architectures);

}  // namespace cbuild::sandbox
