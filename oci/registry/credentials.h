// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "oci/registry/client.h"

namespace cbuild::oci::registry {

/// A user's account at a registry, and where it was found.
struct Account {
  Credentials credentials;
  std::string registry_token;  ///< used as a bearer token as it is
  std::string source;          ///< "/root/.docker/config.json" or "docker-credential-pass", for messages
};

/// The name of a registry, or of a part of it ("host/ns"), as a key of accounts: "https://Index.docker.io/v1/" is
/// "docker.io", "http://host:5000/v2" is "host:5000".
std::string account_key(std::string_view text);
/// The name that docker's files and helpers have for it.
std::string server_address(const std::string& registry);

/// Looks accounts up in the files docker and podman write and in credential helpers. Nothing is ever
/// written. Thread-safe; each registry is looked up once.
class CredentialStore {
 public:
  struct Places {
    std::vector<std::string> files;  ///< in order; the first that knows the registry wins
    bool explicit_file = false;      ///< the user named it: it must exist
    std::optional<Account> given;    ///< for every registry, instead of all others
    std::function<std::optional<Credentials>(const std::string& registry)> ask = {};  ///< instead of all others
    /// Helper programs of registries.conf, with routes::kAccountFiles where `files` come; empty: these alone. Not asked
    /// with an explicit file.
    std::function<std::vector<std::string>()> helpers = {};
  };
  /// Places from an explicit file, else the environment: REGISTRY_AUTH_FILE, $DOCKER_CONFIG or ~/.docker
  /// (config.json), $XDG_RUNTIME_DIR/containers/auth.json, $XDG_CONFIG_HOME or ~/.config
  /// (containers/auth.json), ~/.dockercfg.
  static Places places(const std::optional<std::string>& auth_file);

  /// Where a login is written: the explicit file, REGISTRY_AUTH_FILE, docker's config.json. Throws Error{usage} if the
  /// environment names no place.
  static std::string file_to_write(const std::optional<std::string>& auth_file);

  using Warn = std::function<void(const std::string&)>;
  CredentialStore(Places places, Warn warn) : places_(std::move(places)), warn_(std::move(warn)) {}

  /// The account for a repository ("host", then "host/ns/repo" keys, the longest first). Throws Error{input}
  /// for a file that cannot be read, Error{denied} for a credential helper that fails.
  std::optional<Account> find(const std::string& registry, const std::string& repository);
  /// Where find() looks, for "no credentials found in ...".
  std::string searched() const;

 private:
  std::optional<Account> search(const std::string& registry, const std::string& repository) const;
  std::optional<Account> search_files(const std::string& registry, const std::string& repository) const;

  const Places places_;
  const Warn warn_;
  std::mutex mutex_;  // guards known_
  std::map<std::string, std::optional<Account>> known_;
};

}  // namespace cbuild::oci::registry
