// SPDX-License-Identifier: Apache-2.0
// A profile of the user -> a program, by libseccomp, which has the exact meaning that such files have elsewhere. The
// default profile has a faster way of its own (sandbox/seccomp_filter.cc).
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/confine/seccomp_json.h"

namespace cbuild::sandbox::confine {
namespace {

using Context = std::unique_ptr<void, decltype(&seccomp_release)>;

std::uint32_t action_value(const std::string& name, std::uint32_t error) {
  if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(error);
  if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(error);
  if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
  if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
  return name == "SCMP_ACT_KILL_PROCESS" ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_KILL;
}

scmp_compare comparison(const std::string& name) {
  static const std::map<std::string, scmp_compare> known = {
      {"SCMP_CMP_NE", SCMP_CMP_NE}, {"SCMP_CMP_LT", SCMP_CMP_LT}, {"SCMP_CMP_LE", SCMP_CMP_LE},
      {"SCMP_CMP_GT", SCMP_CMP_GT}, {"SCMP_CMP_GE", SCMP_CMP_GE}, {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
  const auto found = known.find(name);
  return found == known.end() ? SCMP_CMP_EQ : found->second;
}

/// libseccomp's token of "SCMP_ARCH_X86_64"; 0 for a name that it does not know.
std::uint32_t architecture_token(const std::string& name) {
  const std::string_view prefix = "SCMP_ARCH_";
  if (!name.starts_with(prefix)) return 0;
  return seccomp_arch_resolve_name(to_lower(std::string_view(name).substr(prefix.size())).c_str());
}

[[noreturn]] void refuse(int error, const std::string& what) {
  throw Error(ErrorCode::usage, cat("seccomp profile: ", what, ": ", std::strerror(-error)));
}

void add_rule(scmp_filter_ctx context, const SeccompRule& rule, std::uint32_t action, const std::string& name,
              const std::vector<scmp_arg_cmp>& arguments) {
  const int number = seccomp_syscall_resolve_name(name.c_str());
  if (number == __NR_SCMP_ERROR) return;  // a call of other kernels or architectures
  const int error = seccomp_rule_add_array(context, action, number, static_cast<unsigned>(arguments.size()),
                                           arguments.empty() ? nullptr : arguments.data());
  if (error < 0 && error != -EDOM) refuse(error, cat("rule for ", name, " with ", rule.action));
}

/// Several comparisons of one argument are alternatives, as runc has it, since libseccomp takes one of each in a rule.
std::vector<std::vector<scmp_arg_cmp>> alternatives(const std::vector<SeccompArgument>& arguments) {
  std::vector<scmp_arg_cmp> all;
  bool repeated = false;
  for (const SeccompArgument& a : arguments) {
    repeated |= std::any_of(all.begin(), all.end(), [&](const scmp_arg_cmp& other) { return other.arg == a.index; });
    all.push_back({a.index, comparison(a.comparison), a.value, a.value_two});
  }
  if (!repeated) return {all};
  std::vector<std::vector<scmp_arg_cmp>> out;
  for (const scmp_arg_cmp& one : all) out.push_back({one});
  return out;
}

std::vector<sock_filter> exported(scmp_filter_ctx context) {
  const UniqueFd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) throw_errno(errno, "memfd_create");
  if (const int error = seccomp_export_bpf(context, file.get()); error < 0) refuse(error, "cannot be compiled");
  std::vector<sock_filter> program(static_cast<std::size_t>(sys::stat_fd(file.get()).st_size) / sizeof(sock_filter));
  const std::size_t size = program.size() * sizeof(sock_filter);
  if (::pread(file.get(), program.data(), size, 0) != static_cast<ssize_t>(size)) throw_errno(EIO, "read a memfd");
  return program;
}

/// The largest number that the profile names for the machine's own architecture.
std::uint32_t newest_call(const SeccompProfile& profile, std::uint32_t token) {
  int newest = 0;
  for (const SeccompRule& rule : profile.rules)
    for (const std::string& name : rule.names)
      newest = std::max(newest, seccomp_syscall_resolve_name_arch(token, name.c_str()));
  return static_cast<std::uint32_t>(newest);
}

#if defined(__x86_64__)
constexpr std::uint32_t kOwnAuditArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kOwnAuditArch = AUDIT_ARCH_AARCH64;
#elif defined(__riscv)
constexpr std::uint32_t kOwnAuditArch = AUDIT_ARCH_RISCV64;
#elif defined(__s390x__)
constexpr std::uint32_t kOwnAuditArch = AUDIT_ARCH_S390X;
#else
constexpr std::uint32_t kOwnAuditArch = AUDIT_ARCH_PPC64LE;
#endif

/// Goes before the program: ENOSYS for newer calls of the own architecture; x32 and all others go on to it.
std::vector<sock_filter> newer_calls_missing(std::uint32_t newest) {
  constexpr std::uint32_t kX32Bit = 0x40000000;
  return {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kOwnAuditArch, 0, 4),
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 2, 0),
          BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, newest, 0, 1),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)};
}

}  // namespace

std::vector<sock_filter> compile_profile(const SeccompProfile& profile) {
  const std::uint32_t standard = action_value(profile.default_action, profile.default_error);
  const Context context(seccomp_init(standard), &seccomp_release);
  if (!context) refuse(-ENOMEM, "cannot be compiled");
  for (const std::string& name : profile.architectures) {
    const std::uint32_t token = architecture_token(name);
    if (token == 0) throw Error(ErrorCode::usage, cat("seccomp profile: unknown architecture ", go_quote(name)));
    const int error = seccomp_arch_add(context.get(), token);
    if (error < 0 && error != -EEXIST) refuse(error, name);
  }
  for (const SeccompRule& rule : profile.rules) {
    const std::uint32_t action = action_value(rule.action, rule.error);
    if (action == standard) continue;
    for (const auto& arguments : alternatives(rule.arguments))
      for (const std::string& name : rule.names) add_rule(context.get(), rule, action, name, arguments);
  }
  std::vector<sock_filter> program = exported(context.get());
  const std::uint32_t newest = newest_call(profile, seccomp_arch_native());
  if (profile.default_action != "SCMP_ACT_ERRNO" || newest == 0) return program;
  std::vector<sock_filter> out = newer_calls_missing(newest);
  out.insert(out.end(), program.begin(), program.end());
  return out;
}

}  // namespace cbuild::sandbox::confine
