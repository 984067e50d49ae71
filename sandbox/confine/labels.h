// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sandbox/confine/security.h"

/// The labels of AppArmor and SELinux.
namespace cbuild::sandbox::confine {

/// What this machine's kernel has of them.
struct LabelSupport {
  bool apparmor = false;
  std::string apparmor_attribute;    ///< where a process asks for the profile of the program that it will start
  bool has_default_profile = false;  ///< ours is loaded
  bool selinux = false;
  std::string process_label, file_label;  ///< of containers, as the machine's policy has them

  bool operator==(const LabelSupport&) const = default;
};

/// Reads it from files below `root`, which is "" but for tests.
LabelSupport detect_labels(const std::string& root);

/// Our profile, for apparmor_parser: as docker's default one, no mounts, no writes to the kernel's settings.
std::string default_apparmor_profile();
inline constexpr const char* kDefaultProfile = "cbuild-default";

/// Loads our profile, unless it is or AppArmor is not there; `run` starts a command with an input and gives its exit
/// code, or -1 if it is missing. Says in `support` that it worked.
void load_default_profile(
    LabelSupport& support,
    const std::function<int(const std::vector<std::string>& argv, const std::string& input)>& run);

/// A text that a process writes to one of its own files of /proc, for the program that it will start.
struct LabelWrite {
  std::string path, text;
  bool required = false;  ///< the user asks for it; a container around us may forbid the usual one

  bool operator==(const LabelWrite&) const = default;
};
/// The labels of one step.
struct StepLabels {
  std::vector<LabelWrite> writes;
  std::string mount_context;  ///< "context=" of its file systems; empty: none

  bool operator==(const StepLabels&) const = default;
};
/// `insecure` steps have none. Throws Error{unsupported} where the user asks for what the machine has not.
StepLabels choose_labels(const LabelSupport& support, const Security& security, bool insecure);

}  // namespace cbuild::sandbox::confine
