// SPDX-License-Identifier: Apache-2.0
// The compiled filter, run by a small BPF interpreter for every system call of every architecture and compared with the
// profile.
#include "sandbox/seccomp_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>

#include "sandbox/confine/run_filter.h"

using namespace cbuild::sandbox;

namespace {

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW, kDeny = SECCOMP_RET_ERRNO | EPERM,
                        kMissing = SECCOMP_RET_ERRNO | ENOSYS, kKill = SECCOMP_RET_KILL_PROCESS;

std::uint32_t answer(std::uint32_t architecture, std::uint32_t number, std::uint64_t first = 0) {
  static const std::vector<sock_filter> program = compile_filter(default_calls());
  seccomp_data data{};
  data.arch = architecture;
  data.nr = static_cast<int>(number);
  data.args[0] = first;
  return confine::testing::run_filter(program, data);
}

}  // namespace

TEST_CASE("every number of every architecture gets the verdict of the profile") {
  const auto architectures = default_calls();
  const auto program = compile_filter(architectures);
  CHECK(program.size() < 1000);
  for (const ArchitectureCalls& calls : architectures) {
    const std::map<std::uint32_t, Verdict> verdicts(calls.verdicts.begin(), calls.verdicts.end());
    const std::uint32_t last = calls.verdicts.back().first;
    const std::uint32_t base = calls.verdicts.front().first & 0x40000000;
    for (std::uint32_t number = base; number < last + 40; ++number) {
      seccomp_data data{};
      data.arch = calls.audit_arch;
      data.nr = static_cast<int>(number);
      const auto verdict = verdicts.find(number);
      std::uint32_t expected = number > last ? kMissing : kDeny;
      if (verdict != verdicts.end()) expected = verdict->second == Verdict::missing ? kMissing : kAllow;
      CHECK_MESSAGE(confine::testing::run_filter(program, data) == expected, "call ", number);
    }
  }
}

TEST_CASE("calls come and go with their capability") {
  const auto verdict = [](std::uint64_t capabilities, long number) {
    const ArchitectureCalls native = default_calls(capabilities).front();
    for (const auto& [call, found] : native.verdicts)
      if (call == static_cast<std::uint32_t>(number)) return found;
    return Verdict::deny;
  };
  const std::uint64_t admin = confine::kDefaultCapabilities | *confine::capability_bit("SYS_ADMIN");
  for (const long number : {SYS_mount, SYS_unshare, SYS_setns, SYS_bpf}) {
    CHECK(verdict(confine::kDefaultCapabilities, number) == Verdict::deny);
    CHECK(verdict(admin, number) == Verdict::allow);
  }
  CHECK(verdict(confine::kDefaultCapabilities, SYS_clone3) == Verdict::missing);
  CHECK(verdict(admin, SYS_clone3) == Verdict::allow);
  CHECK(verdict(confine::kDefaultCapabilities, SYS_clone) == Verdict::clone_flags);
  CHECK(verdict(admin, SYS_clone) == Verdict::allow);
  CHECK(verdict(confine::kDefaultCapabilities, SYS_chroot) == Verdict::allow);
  CHECK(verdict(0, SYS_chroot) == Verdict::deny);
  CHECK(verdict(admin, SYS_reboot) == Verdict::deny);
}

TEST_CASE("a foreign architecture is killed") {
  CHECK(answer(AUDIT_ARCH_MIPS, 1) == kKill);
  CHECK(answer(0, 1) == kKill);
}

TEST_CASE("long jumps: a profile of alternating verdicts needs more than 255 instructions") {
  ArchitectureCalls calls{AUDIT_ARCH_S390X, {}};
  for (std::uint32_t number = 0; number < 4000; number += 2)
    calls.verdicts.emplace_back(number, number % 4 == 0 ? Verdict::allow : Verdict::missing);
  const auto program = compile_filter({&calls, 1});
  for (std::uint32_t number = 0; number < 4000; ++number) {
    seccomp_data data{};
    data.arch = calls.audit_arch;
    data.nr = static_cast<int>(number);
    const std::uint32_t expected = number > 3998     ? kMissing
                                   : number % 2 == 1 ? kDeny
                                   : number % 4 == 0 ? kAllow
                                                     : kMissing;
    CHECK(confine::testing::run_filter(program, data) == expected);
  }
  const ArchitectureCalls none{AUDIT_ARCH_S390X, {}};
  seccomp_data data{};
  data.arch = none.audit_arch;
  CHECK(confine::testing::run_filter(compile_filter({&none, 1}), data) == kMissing);
}

#if defined(__x86_64__)
TEST_CASE("x86_64: the calls that matter") {
  const std::uint32_t arch = AUDIT_ARCH_X86_64;
  for (const auto number : {SYS_read, SYS_execve, SYS_openat2, SYS_chroot, SYS_ptrace, SYS_mknodat, SYS_capset,
                            SYS_setresuid, SYS_arch_prctl, SYS_landlock_create_ruleset, SYS_faccessat2, SYS_exit_group})
    CHECK_MESSAGE(answer(arch, static_cast<std::uint32_t>(number)) == kAllow, number);
  for (const auto number :
       {SYS_mount,          SYS_umount2,     SYS_unshare,         SYS_setns,      SYS_bpf,    SYS_keyctl,
        SYS_add_key,        SYS_init_module, SYS_kexec_load,      SYS_reboot,     SYS_swapon, SYS_open_by_handle_at,
        SYS_io_uring_setup, SYS_userfaultfd, SYS_perf_event_open, SYS_move_mount, SYS_fsopen, SYS_open_tree,
        SYS_mount_setattr,  SYS_pidfd_getfd})
    CHECK_MESSAGE(answer(arch, static_cast<std::uint32_t>(number)) == kDeny, number);
  CHECK(answer(arch, SYS_clone3) == kMissing);
  CHECK(answer(arch, 452) == kAllow);  // fchmodat2, whether libseccomp knows it or not
  CHECK(answer(arch, 999) == kMissing);
  CHECK(answer(arch, 0xffffffff) == kMissing);
}

TEST_CASE("x86_64: arguments are compared as the 32 bits the kernel uses") {
  const std::uint32_t arch = AUDIT_ARCH_X86_64;
  const auto socket = [&](std::uint64_t family) { return answer(arch, SYS_socket, family); };
  CHECK(socket(AF_INET) == kAllow);
  CHECK(socket(37) == kAllow);
  CHECK(socket(AF_ALG) == kDeny);
  CHECK(socket(39) == kAllow);
  CHECK(socket(AF_VSOCK) == kDeny);
  CHECK(socket(41) == kAllow);
  CHECK(socket(0x100000000 + AF_VSOCK) == kDeny);
  CHECK(socket(0xffffffff00000000 + AF_ALG) == kDeny);

  const auto personality = [&](std::uint64_t domain) { return answer(arch, SYS_personality, domain); };
  for (const std::uint64_t domain : {0x0u, 0x8u, 0x20000u, 0x20008u, 0xffffffffu}) CHECK(personality(domain) == kAllow);
  CHECK(personality(0x0040000) == kDeny);  // ADDR_NO_RANDOMIZE
  CHECK(personality(0x1) == kDeny);

  const auto clone = [&](std::uint64_t flags) { return answer(arch, SYS_clone, flags); };
  CHECK(clone(SIGCHLD) == kAllow);
  CHECK(clone(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD) == kAllow);
  for (const std::uint64_t flag :
       {CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP})
    CHECK(clone(flag | SIGCHLD) == kDeny);
}

TEST_CASE("i386 and x32 cannot be used to get around the filter") {
  CHECK(answer(AUDIT_ARCH_I386, 3) == kAllow);   // read
  CHECK(answer(AUDIT_ARCH_I386, 21) == kDeny);   // mount
  CHECK(answer(AUDIT_ARCH_I386, 310) == kDeny);  // unshare
  CHECK(answer(AUDIT_ARCH_I386, 359, AF_VSOCK) == kDeny);
  CHECK(answer(AUDIT_ARCH_I386, 359, AF_INET) == kAllow);
  CHECK(answer(AUDIT_ARCH_I386, 120, CLONE_NEWUSER) == kDeny);
  CHECK(answer(AUDIT_ARCH_I386, 435) == kMissing);  // clone3
  constexpr std::uint32_t x32 = 0x40000000;
  CHECK(answer(AUDIT_ARCH_X86_64, x32 + 0) == kAllow);
  CHECK(answer(AUDIT_ARCH_X86_64, x32 + SYS_mount) == kDeny);
  CHECK(answer(AUDIT_ARCH_X86_64, x32 + SYS_clone, CLONE_NEWNS) == kDeny);
  CHECK(answer(AUDIT_ARCH_X86_64, x32 + SYS_socket, AF_VSOCK) == kDeny);
}
#endif
