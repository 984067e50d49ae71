// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cbuild::sandbox {

inline constexpr const char* kBinfmtDirectory = "/proc/sys/fs/binfmt_misc";

/// The interpreter for programs of an architecture that is not this machine's.
enum class Interpreter {
  unknown,  ///< it cannot be seen: the directory is not mounted, the architecture not known
  none,
  inside,  ///< registered by its path, so it has to lie in the step's own root
  present,
};

/// Looks for `architecture` (a GOARCH) among the registrations in `directory`; changes nothing there. Never throws.
Interpreter find_interpreter(std::string_view architecture, const std::string& directory = kBinfmtDirectory);

/// Whether programs of `architecture` need an interpreter on `host` (both GOARCH). Where CPUs run a smaller
/// architecture too, it is taken for its own.
bool is_foreign(std::string_view architecture, std::string_view host);

/// The packages to install, for the user.
std::string interpreter_advice(std::string_view architecture);

}  // namespace cbuild::sandbox
