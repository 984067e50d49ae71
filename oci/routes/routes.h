// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "oci/routes/buildkitd_toml.h"
#include "oci/routes/config_files.h"
#include "oci/routes/daemon_json.h"
#include "oci/routes/hosts_toml.h"
#include "oci/routes/registries_conf.h"
#include "oci/routes/route.h"

namespace cbuild::oci::routes {

/// What is asked for: a tag, whose meaning a mirror may not know; a manifest by its digest; a blob.
enum class Asking { tag, digest, blob };

/// What the files say about one registry, for a person.
struct Described {
  std::string registry;  ///< "docker.io", "*.example.com"
  std::string text;      ///< "mirror mirror.example:5000; insecure"
  std::string file;
};

/// Where images are asked for, by the files of podman, containerd, BuildKit and docker, in this order of precedence
/// (docs/decisions/registry-files.md). Files are read at the first question. Thread-safe. All calls throw Error{input}
/// for a file that cannot be read.
class Routes {
 public:
  explicit Routes(ConfigFiles files);

  /// Where to read from: mirrors in their order, the registry itself last. Throws Error{denied} for a blocked name.
  std::vector<Route> reading(const Reference& reference, Asking asking);
  /// Where to write to: never a mirror, and never another place than the name says. Throws as reading() does.
  Route writing(const Reference& reference);
  /// Whether daemon.json lets a host go without verified TLS.
  bool is_insecure(const http::Url& url);
  /// Directories that may have certificates for a host, as its users write it.
  std::vector<std::string> certificate_directories(const std::string& host) const;
  /// Where accounts are looked for, by registries.conf: programs, and kAccountFiles. Empty if it does not say.
  std::vector<std::string> credential_helpers();

  std::vector<Described> describe();

 private:
  const RegistriesFile& registries();
  const DaemonFile& daemon();
  const BuildkitFile& buildkit();
  const HostsFile* hosts(const std::string& registry);
  const RegistryTable* table_for(const Reference& reference);
  std::vector<Route> places(const RegistryTable* table, const Reference& reference, Asking asking);
  void add_buildkit(Route& route);
  std::vector<Route> through_hosts(const HostsFile& hosts, const Reference& reference, Asking asking) const;

  const ConfigFiles files_;
  std::mutex mutex_;  // guards the rest
  std::optional<RegistriesFile> registries_;
  std::optional<BuildkitFile> buildkit_;
  std::optional<DaemonFile> daemon_;
  std::map<std::string, std::optional<HostsFile>> hosts_;
};

}  // namespace cbuild::oci::routes
