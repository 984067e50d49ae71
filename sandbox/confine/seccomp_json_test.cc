// SPDX-License-Identifier: Apache-2.0
// Profiles as values, and what their programs answer: they are interpreted here, as the kernel does it.
#include "sandbox/confine/seccomp_json.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/confine/run_filter.h"

using namespace cbuild;
using namespace cbuild::sandbox::confine;

namespace {

/// The machine's own native architecture; tests that run programs are for it alone.
#if defined(__x86_64__)
constexpr std::uint32_t kAuditArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kAuditArch = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kAuditArch = 0;
#endif

std::uint32_t answer(const std::vector<sock_filter>& code, int number, std::vector<std::uint64_t> arguments = {}) {
  seccomp_data data{};
  data.nr = number;
  data.arch = kAuditArch;
  for (std::size_t i = 0; i < arguments.size(); ++i) data.args[i] = arguments[i];
  return testing::run_filter(code, data);
}

const ProfileConditions kMachine{kDefaultCapabilities, own_conditions(0).architecture, 6, 1};

SeccompProfile parse(const std::string& text) { return parse_seccomp_profile(text, "p.json", kMachine); }

std::string error_of(const std::string& text) {
  try {
    compile_profile(parse(text));
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    return cat(error.what(), " | ", error.hint());
  }
  return "none";
}

constexpr std::uint32_t kDenied = SECCOMP_RET_ERRNO | EPERM, kMissing = SECCOMP_RET_ERRNO | ENOSYS;

}  // namespace

TEST_CASE("a profile decides by name, argument and default; newer calls are missing") {
  const auto code = compile_profile(parse(R"({
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
    "syscalls": [
      {"names": ["read", "close", "futex_waitv", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
      {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]},
      {"names": ["personality"], "action": "SCMP_ACT_ALLOW",
       "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 3, "op": "SCMP_CMP_EQ"}]},
      {"names": ["mlock"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
      {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
       "args": [{"index": 0, "value": 255, "valueTwo": 17, "op": "SCMP_CMP_MASKED_EQ"}]}
    ]})"));
  CHECK(answer(code, SYS_read) == SECCOMP_RET_ALLOW);
  CHECK(answer(code, SYS_write) == kDenied);
  CHECK(answer(code, SYS_socket, {2}) == SECCOMP_RET_ALLOW);
  CHECK(answer(code, SYS_socket, {3}) == kDenied);
  CHECK(answer(code, SYS_personality, {1}) == SECCOMP_RET_ALLOW);
  CHECK(answer(code, SYS_personality, {3}) == SECCOMP_RET_ALLOW);
  CHECK(answer(code, SYS_personality, {2}) == kDenied);
  CHECK(answer(code, SYS_mlock) == (SECCOMP_RET_ERRNO | EACCES));
  CHECK(answer(code, SYS_clone, {0x111}) == SECCOMP_RET_ALLOW);
  CHECK(answer(code, SYS_clone, {0x112}) == kDenied);
  CHECK(answer(code, 4000) == kMissing);
}

TEST_CASE("what a profile allows by default it also allows of newer calls") {
  const auto code = compile_profile(
      parse(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "mkdirat", "action": "SCMP_ACT_KILL"}]})"));
  CHECK(answer(code, SYS_mkdirat) == SECCOMP_RET_KILL_THREAD);
  CHECK(answer(code, SYS_read) == SECCOMP_RET_ALLOW);
  CHECK(answer(code, 4000) == SECCOMP_RET_ALLOW);
}

TEST_CASE("rules count if their conditions hold: capabilities, architecture, kernel") {
  const auto counts = [](const std::string& conditions) {
    return !parse(cat(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"],
                          "action": "SCMP_ACT_ALLOW", )",
                      conditions, "}]}"))
                .rules.empty();
  };
  CHECK(counts(R"("includes": {"caps": ["CAP_CHOWN"]})"));
  CHECK_FALSE(counts(R"("includes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]})"));
  CHECK(counts(R"("excludes": {"caps": ["CAP_SYS_ADMIN"]})"));
  CHECK_FALSE(counts(R"("excludes": {"caps": ["CAP_CHOWN"]})"));
  CHECK(counts(cat(R"("includes": {"arches": ["none", ")", kMachine.architecture, R"("]})")));
  CHECK_FALSE(counts(R"("includes": {"arches": ["none"]})"));
  CHECK_FALSE(counts(cat(R"("excludes": {"arches": [")", kMachine.architecture, R"("]})")));
  CHECK(counts(R"("includes": {"minKernel": "5.18"})"));
  CHECK_FALSE(counts(R"("includes": {"minKernel": "6.2"})"));
  CHECK_FALSE(counts(R"("excludes": {"minKernel": "4.0"})"));
  CHECK(counts(R"("includes": {}, "excludes": null, "comment": "x")"));
}

TEST_CASE("architectures that belong to the machine's own come with it") {
  const std::string own = parse(R"({"defaultAction": "SCMP_ACT_LOG"})").architectures.at(0);
  const SeccompProfile profile = parse(cat(R"({"defaultAction": "SCMP_ACT_LOG", "archMap": [
      {"architecture": ")",
                                           own, R"(", "subArchitectures": ["SCMP_ARCH_X86"]},
      {"architecture": "SCMP_ARCH_MIPS", "subArchitectures": ["SCMP_ARCH_MIPS64"]}]})"));
  CHECK(profile.architectures == std::vector<std::string>{own, "SCMP_ARCH_X86"});
}

TEST_CASE("a file that is not a profile is refused with its line and a hint") {
  CHECK(
      error_of("{\n  \"defaultAction\": \"SCMP_ACT_ALLOW\",\n}").starts_with("p.json:3: invalid JSON | a profile is"));
  CHECK(error_of("[]").starts_with("p.json:1: the profile is not an object"));
  CHECK(error_of("{}").starts_with("p.json:1: defaultAction is missing"));
  CHECK(error_of("{\n\"defaultAction\":\n\"SCMP_ACT_ALOW\"}") ==
        "p.json:3: invalid defaultAction \"SCMP_ACT_ALOW\" | did you mean SCMP_ACT_ALLOW?");
  const auto rule = [](const std::string& text) {
    return error_of(
        cat("{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n\"syscalls\": [\n{\"names\": [\"read\"], \"action\": "
            "\"SCMP_ACT_ALLOW\"},\n",
            text, "\n]}"));
  };
  CHECK(rule("{\"names\": [], \"action\": \"SCMP_ACT_ALLOW\"}").starts_with("p.json:4: a rule without names"));
  CHECK(rule("{\"names\": [\"a\",\n1], \"action\": \"SCMP_ACT_ALLOW\"}").starts_with("p.json:5: an entry of names"));
  CHECK(rule("{\"names\": [\"a\"]}").starts_with("p.json:4: action is missing"));
  CHECK(rule("7").starts_with("p.json:4: an entry of syscalls is not an object"));
  CHECK(rule("{\"names\": [\"a\"], \"action\":\n\"SCMP_ACT_NOTIFY\"}").starts_with("p.json:5: SCMP_ACT_NOTIFY needs"));
  const auto with = [&](const std::string& text) {
    return rule(cat("{\"names\": [\"socket\"], \"action\": \"SCMP_ACT_ALLOW\",\n", text, "}"));
  };
  CHECK(with("\"args\": [{\"index\": 6, \"op\": \"SCMP_CMP_EQ\"}]").starts_with("p.json:5: invalid index 6"));
  CHECK(with("\"args\": [{\"index\": 0, \"op\": \"==\"}]")
            .starts_with("p.json:5: invalid op \"==\" | one of SCMP_CMP_EQ"));
  CHECK(with("\"args\": [{\"value\": -1, \"op\": \"SCMP_CMP_EQ\"}]").starts_with("p.json:5: invalid value -1"));
  CHECK(with("\"args\": {}").starts_with("p.json:5: args is not a list"));
  CHECK(with("\"includes\": {\"caps\": [\"CAP_SYS_ADMN\"]}")
            .starts_with("p.json:5: unknown capability \"CAP_SYS_ADMN\""));
  CHECK(with("\"includes\": {\"minKernel\": 5}").starts_with("p.json:5: invalid minKernel 5"));
  CHECK(error_of("{\"defaultAction\": \"SCMP_ACT_LOG\", \"architectures\": [\"SCMP_ARCH_VAX\"]}")
            .starts_with("seccomp profile: unknown architecture \"SCMP_ARCH_VAX\""));
}
