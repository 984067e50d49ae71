// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/registry_files.h"

#include "base/process/environment.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

/// "" without a home directory.
std::string user_config() {
  if (std::string config = environment_value("XDG_CONFIG_HOME"); !config.empty()) return config;
  const std::string home = environment_value("HOME");
  return home.empty() ? home : join_path(home, ".config");
}

}  // namespace

oci::routes::ConfigFiles registry_files() {
  const std::string given = environment_value("CBUILD_ETC"), etc = given.empty() ? "/etc" : given;
  const std::string user = user_config(), docker = docker_directory();
  oci::routes::ConfigFiles out;
  const auto add = [](std::vector<std::string>& list, const std::string& directory, std::string_view name) {
    if (!directory.empty()) list.push_back(join_path(directory, name));
  };
  if (std::string named = environment_value("CONTAINERS_REGISTRIES_CONF"); !named.empty()) {
    out.registries_conf = {std::move(named)};
    out.registries_conf_is_named = true;
  } else {
    add(out.registries_conf, user, "containers/registries.conf");
    add(out.registries_conf, etc, "containers/registries.conf");
  }
  add(out.registries_conf_dirs, etc, "containers/registries.conf.d");
  add(out.registries_conf_dirs, user, "containers/registries.conf.d");
  add(out.hosts_dirs, user, "containerd/certs.d");
  add(out.hosts_dirs, etc, "containerd/certs.d");
  add(out.buildkitd_toml, user, "buildkit/buildkitd.toml");
  add(out.buildkitd_toml, etc, "buildkit/buildkitd.toml");
  add(out.daemon_json, user, "docker/daemon.json");
  add(out.daemon_json, etc, "docker/daemon.json");
  add(out.cert_dirs, etc, "docker/certs.d");
  add(out.cert_dirs, etc, "containers/certs.d");
  add(out.cert_dirs, user, "containers/certs.d");
  add(out.cert_dirs, user, "docker/certs.d");
  add(out.cert_dirs, docker, "certs.d");
  return out;
}

}  // namespace cbuild::cli
