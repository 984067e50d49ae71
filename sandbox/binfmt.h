// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"

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

/// The beginning of the programs of an architecture, for a registration: bytes under a mask of the same length.
struct ElfPattern {
  std::vector<std::uint8_t> magic, mask;
};
/// nullopt for an architecture (a GOARCH) that is not known.
std::optional<ElfPattern> elf_pattern(std::string_view architecture);

/// Whether programs of `architecture` need an interpreter on `host` (both GOARCH). Where CPUs run a smaller
/// architecture too, it is taken for its own.
bool is_foreign(std::string_view architecture, std::string_view host);

/// The packages to install, for the user.
std::string interpreter_advice(std::string_view architecture);

/// Where emulators are looked for: the directories of PATH.
std::vector<std::string> emulator_directories();

/// A statically linked qemu-user for `architecture` (a GOARCH): one that needs nothing of the root it runs in. nullopt:
/// there is none, or the architecture is not known.
std::optional<std::string> find_emulator(std::string_view architecture, const std::vector<std::string>& directories);

/// Interpreters that the user namespace of this process has for itself: Linux 6.7 and later give each user namespace a
/// binfmt_misc of its own. The machine's registrations are neither changed nor seen then, by this process and all that
/// it starts. They last as long as this lives. Movable.
class OwnInterpreters {
 public:
  /// Makes the instance; this process must be in a user namespace other than the machine's, and may mount there. Throws
  /// Error{unsupported} where the kernel does not have it.
  static OwnInterpreters make();

  /// Registers `emulator`, which is opened now, for programs of `architecture`. Throws Error.
  void add(std::string_view architecture, const std::string& emulator);
  /// For find_interpreter(); of this process.
  std::string directory() const;

 private:
  explicit OwnInterpreters(UniqueFd mount) : mount_(std::move(mount)) {}
  UniqueFd mount_;
};

}  // namespace cbuild::sandbox
