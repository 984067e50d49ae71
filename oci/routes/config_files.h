// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace cbuild::oci::routes {

/// The files that say how registries are reached, as paths. None are read unless they are named here; those that do not
/// exist say nothing.
struct ConfigFiles {
  std::vector<std::string> registries_conf;       ///< containers-registries.conf(5); the first that exists
  bool registries_conf_is_named = false;          ///< by the user: then it has to exist
  std::vector<std::string> registries_conf_dirs;  ///< "*.conf", later directories and names win
  std::vector<std::string> hosts_dirs;            ///< HOST/hosts.toml of containerd; the first that has the host
  std::vector<std::string> buildkitd_toml;        ///< of buildkitd; the first that exists
  std::vector<std::string> daemon_json;           ///< of dockerd; the first that exists
  std::vector<std::string> cert_dirs;             ///< HOST/*.crt, *.cert and *.key of docker and podman; all count

  bool operator==(const ConfigFiles&) const = default;
};

}  // namespace cbuild::oci::routes
