// SPDX-License-Identifier: Apache-2.0
// A profile file is either refused with Error{usage} and its line, or becomes a program that the kernel would take.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "sandbox/confine/seccomp_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cbuild;
  using namespace cbuild::sandbox::confine;
  try {
    const SeccompProfile profile =
        parse_seccomp_profile({reinterpret_cast<const char*>(data), size}, "p", {kDefaultCapabilities, "amd64", 6, 1});
    CBUILD_CHECK(!profile.default_action.empty() && profile.digest.starts_with("sha256:"));
    const auto program = compile_profile(profile);
    CBUILD_CHECK(!program.empty() && program.size() <= BPF_MAXINSNS);
  } catch (const Error& error) {
    const std::string text = error.what();
    CBUILD_CHECK(error.code() == ErrorCode::usage && (text.starts_with("p:") || text.starts_with("seccomp profile: ")));
  }
  return 0;
}
