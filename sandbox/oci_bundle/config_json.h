// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sandbox/confine/labels.h"
#include "sandbox/spec.h"

namespace cbuild::sandbox::oci {

/// What of a bundle is not part of the step.
struct BundleSettings {
  std::string cgroup;                              ///< linux.cgroupsPath; empty: the runtime's choice
  std::vector<std::string> thermal_paths;          ///< masked in addition, by CPU
  std::uint64_t held = confine::kAllCapabilities;  ///< capabilities that the builder can give
  confine::LabelSupport labels;                    ///< of this machine
};

/// The step as the config.json of the runtime-spec 1.2: the same command, ids, rights, limits, namespaces, masks and
/// mounts as in our own sandbox. The sources of its mounts are the names "mounts/N" in the bundle. Files given by value
/// are among them: see content_files().
std::string config_json(const Spec& spec, const BundleSettings& settings);

/// The mounts that come from a name in the bundle, in the order of their numbers: those of the step but tmpfs, then
/// resolv.conf and hosts.
struct BundleMount {
  std::string target;
  const Mount* mount = nullptr;  ///< null: of the step's network
  std::string content;           ///< without `mount`
};
std::vector<BundleMount> bundle_mounts(const Spec& spec);

}  // namespace cbuild::sandbox::oci
