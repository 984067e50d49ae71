// SPDX-License-Identifier: Apache-2.0
#include "sandbox/confine/security_options.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

using namespace cbuild;
using namespace cbuild::sandbox::confine;

namespace {

std::uint64_t bits(std::initializer_list<const char*> names) {
  std::uint64_t set = 0;
  for (const char* name : names) set |= capability_bit(name).value();
  return set;
}

std::string error_of_flags(const SecurityTexts& texts) {
  try {
    parse_security(texts);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    return cat(error.what(), " | ", error.hint());
  }
  return "none";
}

}  // namespace

TEST_CASE("capabilities are added and dropped as docker does it") {
  const auto set = [](std::vector<std::string> added, std::vector<std::string> dropped) {
    return parse_security({std::move(added), std::move(dropped), {}}).capabilities;
  };
  CHECK(kDefaultCapabilities ==
        bits({"chown", "dac_override", "fsetid", "fowner", "mknod", "net_raw", "setgid", "setuid", "setfcap", "setpcap",
              "net_bind_service", "sys_chroot", "kill", "audit_write"}));
  CHECK(set({}, {}) == kDefaultCapabilities);
  CHECK(set({"sys_admin", "CAP_SYS_PTRACE"}, {}) == (kDefaultCapabilities | bits({"SYS_ADMIN", "SYS_PTRACE"})));
  CHECK(set({}, {"CAP_MKNOD"}) == (kDefaultCapabilities & ~bits({"MKNOD"})));
  CHECK(set({"CHOWN"}, {"ALL"}) == bits({"CHOWN"}));
  CHECK(set({"all"}, {"SYS_ADMIN"}) == (kAllCapabilities & ~bits({"SYS_ADMIN"})));
  CHECK(set({"MKNOD"}, {"MKNOD"}) == kDefaultCapabilities);
}

TEST_CASE("values that make no sense are refused with a hint") {
  CHECK(error_of_flags({{"SYS_ADMN"}, {}, {}}) == "--cap-add: unknown capability 'SYS_ADMN' | did you mean SYS_ADMIN?");
  CHECK(error_of_flags({{}, {"x"}, {}}) == "--cap-drop: unknown capability 'x' | see capabilities(7), or ALL");
  CHECK(error_of_flags({{}, {}, {"secomp=a"}}).starts_with("--security-opt: unknown option 'secomp=a' | seccomp=FILE"));
  CHECK(error_of_flags({{}, {}, {"seccomp="}}).starts_with("--security-opt: no value in 'seccomp='"));
  CHECK(
      error_of_flags({{}, {}, {"seccomp=/none"}}).starts_with("--security-opt: seccomp profile /none does not exist"));
  CHECK(error_of_flags({{}, {}, {"no-new-privileges=2"}}).starts_with("--security-opt: '2' is not a truth value"));
  CHECK(error_of_flags({{}, {}, {"label=tpe:x"}}).starts_with("--security-opt: invalid label 'tpe:x'"));
}

TEST_CASE("options are in the key and need an entitlement for what they give, not for what they take") {
  const auto given = [](std::vector<std::string> added, std::vector<std::string> dropped,
                        std::vector<std::string> options) {
    const Security security = parse_security({std::move(added), std::move(dropped), std::move(options)});
    return cat(join(key_texts(security), " "), " | ", join(entitlements_of(security), " "));
  };
  CHECK(given({}, {}, {}) == " | ");
  CHECK(given({}, {}, {"seccomp=builtin", "no-new-privileges=false"}) == " | ");
  CHECK(given({}, {"MKNOD"}, {"no-new-privileges"}) == "cap-drop=CAP_MKNOD no-new-privileges | ");
  CHECK(given({"SYS_PTRACE"}, {}, {}) == "cap-add=CAP_SYS_PTRACE | security.capabilities");
  CHECK(given({}, {}, {"seccomp:unconfined"}) == "seccomp=unconfined | security.seccomp");
  CHECK(given({}, {}, {"apparmor=unconfined", "label=disable"}) ==
        "apparmor=unconfined label=disable | security.apparmor security.label");
  const TempDir dir = TempDir::in_tmp("security-test");
  sys::write_file_at(dir.fd(), "p.json", R"({"defaultAction": "SCMP_ACT_ALLOW"})");
  CHECK(given({}, {}, {cat("seccomp=", dir.path(), "/p.json")}).starts_with("seccomp=sha256:"));
}
