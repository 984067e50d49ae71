// SPDX-License-Identifier: Apache-2.0
// Finds the account for a repository in the files of docker and podman. Files are searched in order, and in each file
// the helper program of the registry, the entries, then the default helper; an entry for "host/a/b" goes before one for
// "host/a". A search is done once for a repository, one at a time, because a helper may ask a person.
#include "oci/registry/credentials.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/process/environment.h"
#include "base/text.h"
#include "oci/json.h"
#include "oci/registry/credential_helper.h"
#include "oci/routes/registries_conf.h"

namespace cbuild::oci::registry {

namespace {

using Value = nlohmann::json;
constexpr std::size_t kMaxFile = 4u << 20;
constexpr char kHubKey[] = "https://index.docker.io/v1/";

/// Empty without a home directory.
std::string docker_config_file() {
  const std::string directory = docker_directory();
  return directory.empty() ? directory : join_path(directory, "config.json");
}

/// "host/a/b", "host/a", "host".
std::vector<std::string> candidate_keys(const std::string& registry, const std::string& repository) {
  std::vector<std::string> out;
  std::string key = account_key(registry) + "/" + repository;
  while (true) {
    out.push_back(key);
    const std::size_t slash = key.rfind('/');
    if (slash == std::string::npos) return out;
    key.resize(slash);
  }
}

std::optional<Account> account_of_entry(const Value& entry, const std::string& source) {
  Account out;
  out.source = source;
  Credentials& found = out.credentials;
  found.user = json::text(entry, "username");
  found.password = json::text(entry, "password");
  if (const std::string packed = json::text(entry, "auth"); !packed.empty()) {
    const std::optional<std::string> plain = base64_decode(packed);
    const std::size_t colon = plain ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos) throw Error(ErrorCode::input, "\"auth\" is not base64 of user:password");
    found.user = plain->substr(0, colon);
    found.password = plain->substr(colon + 1);
    while (found.password.ends_with('\0')) found.password.pop_back();  // docker pads old files
  }
  found.identity_token = json::text(entry, "identitytoken");
  out.registry_token = json::text(entry, "registrytoken");
  const bool empty = found.user.empty() && found.identity_token.empty() && out.registry_token.empty();
  return empty ? std::nullopt : std::optional(out);
}

std::optional<Account> from_entries(const Value& entries, const std::vector<std::string>& keys,
                                    const std::string& source) {
  for (const std::string& key : keys) {
    for (const auto& [name, entry] : entries.items()) {
      if (!entry.is_object() || account_key(name) != key) continue;
      if (auto account = account_of_entry(entry, source)) return account;
    }
  }
  return std::nullopt;
}

std::optional<Account> from_registry_helpers(const Value& config, const std::vector<std::string>& keys,
                                             const std::string& registry) {
  const Value* helpers = json::object(config, "credHelpers");
  if (helpers == nullptr) return std::nullopt;
  for (const std::string& key : keys) {
    for (const auto& [name, helper] : helpers->items()) {
      if (account_key(name) != key || !helper.is_string()) continue;
      const std::string server = key.find('/') == std::string::npos ? server_address(registry) : key;
      if (auto account = helper_get(helper.get<std::string>(), server)) return account;
    }
  }
  return std::nullopt;
}

/// A helper that is asked for every registry. A machine without that program can still do anything that needs no
/// account.
std::optional<Account> from_any_helper(const std::string& helper, const std::string& registry,
                                       const CredentialStore::Warn& warn) {
  if (helper.empty()) return std::nullopt;
  try {
    return helper_get(helper, server_address(registry));
  } catch (const Error& e) {
    if (e.code() != ErrorCode::not_found) throw;
    if (warn) warn(cat("docker-credential-", helper, " is not installed; going on without an account"));
    return std::nullopt;
  }
}

std::optional<Account> from_config(const Value& config, const std::string& registry, const std::string& repository,
                                   const std::string& source, const CredentialStore::Warn& warn) {
  const std::vector<std::string> keys = candidate_keys(registry, repository);
  if (auto account = from_registry_helpers(config, keys, registry)) return account;
  if (const Value* entries = json::object(config, "auths")) {
    if (auto account = from_entries(*entries, keys, source)) return account;
  }
  return from_any_helper(json::text(config, "credsStore"), registry, warn);
}

bool is_entry_of_environment(const Value& entry) {
  return entry.is_object() && entry.size() == 1 && !json::text(entry, "auth").empty();
}

/// DOCKER_AUTH_CONFIG holds {"auths": {HOST: {"auth": ...}}} and nothing else; docker passes over any other, with a
/// warning.
std::optional<Account> from_variable(const std::string& registry, const std::string& repository,
                                     const CredentialStore::Warn& warn) {
  constexpr char kName[] = "DOCKER_AUTH_CONFIG";
  const std::string text = environment_value(kName);
  if (text.empty()) return std::nullopt;
  try {
    const Value config = json::parse_object(text, kMaxFile, kName);
    const Value* entries = json::object(config, "auths");
    if (config.size() > (entries == nullptr ? 0 : 1)) throw Error(ErrorCode::input, "it may hold \"auths\" only");
    if (entries == nullptr) return std::nullopt;
    if (!std::all_of(entries->begin(), entries->end(), is_entry_of_environment))
      throw Error(ErrorCode::input, "an entry is not {\"auth\": ...}");
    return from_entries(*entries, candidate_keys(registry, repository), kName);
  } catch (const Error& error) {
    if (warn) warn(cat(kName, " is not used: ", error.what()));
    return std::nullopt;
  }
}

}  // namespace

std::string account_key(std::string_view key) {
  if (const std::size_t scheme = key.find("://"); scheme != std::string_view::npos) key.remove_prefix(scheme + 3);
  while (key.ends_with('/')) key.remove_suffix(1);
  for (const std::string_view version : {"/v1", "/v2"}) {
    if (key.ends_with(version)) key.remove_suffix(version.size());
  }
  const std::size_t slash = key.find('/');
  std::string host = to_lower(key.substr(0, slash));
  if (host == "index.docker.io" || host == "registry-1.docker.io") host = "docker.io";
  return slash == std::string_view::npos ? host : host + std::string(key.substr(slash));
}

std::string server_address(const std::string& registry) { return registry == "docker.io" ? kHubKey : registry; }

CredentialStore::Places CredentialStore::places(const std::optional<std::string>& auth_file) {
  Places out;
  if (auth_file) {
    out.files = {*auth_file};
    out.explicit_file = true;
    return out;
  }
  const std::string home = environment_value("HOME");
  const auto add = [&](const std::string& dir, std::string_view file) {
    if (!dir.empty()) out.files.push_back(join_path(dir, file));
  };
  if (const std::string file = environment_value("REGISTRY_AUTH_FILE"); !file.empty()) out.files.push_back(file);
  if (const std::string docker = docker_config_file(); !docker.empty()) out.files.push_back(docker);
  const std::string runtime = environment_value("XDG_RUNTIME_DIR");
  add(runtime.empty() ? cat("/run/containers/", ::getuid()) : join_path(runtime, "containers"), "auth.json");
  const std::string config = environment_value("XDG_CONFIG_HOME");
  if (!config.empty()) {
    add(config, "containers/auth.json");
  } else {
    add(home, ".config/containers/auth.json");
  }
  add(home, ".dockercfg");
  return out;
}

std::string CredentialStore::file_to_write(const std::optional<std::string>& auth_file) {
  if (auth_file) return *auth_file;
  if (std::string file = environment_value("REGISTRY_AUTH_FILE"); !file.empty()) return file;
  if (std::string file = docker_config_file(); !file.empty()) return file;
  throw Error(ErrorCode::usage, "HOME is not set: there is no place for the account")
      .with_hint("--authfile FILE, or set DOCKER_CONFIG to a directory");
}

std::optional<Account> CredentialStore::find(const std::string& registry, const std::string& repository) {
  const std::lock_guard lock(mutex_);  // a helper may ask a person, so it must not run twice at once
  const std::string key = registry + "/" + repository;
  const auto known = known_.find(key);
  if (known != known_.end()) return known->second;
  return known_.emplace(key, search(registry, repository)).first->second;
}

std::optional<Account> CredentialStore::search(const std::string& registry, const std::string& repository) const {
  if (places_.given) return places_.given;
  if (places_.ask) {
    const auto answer = places_.ask(registry);
    return answer ? std::optional(Account{*answer, {}, "the client"}) : std::nullopt;
  }
  if (places_.explicit_file) return search_files(registry, repository);
  if (auto account = from_variable(registry, repository, warn_)) return account;
  const std::vector<std::string> helpers = places_.helpers ? places_.helpers() : std::vector<std::string>{};
  if (helpers.empty()) return search_files(registry, repository);
  for (const std::string& helper : helpers) {
    const bool names_files = helper == routes::kAccountFiles;
    auto account = names_files ? search_files(registry, repository) : from_any_helper(helper, registry, warn_);
    if (account) return account;
  }
  return std::nullopt;
}

std::optional<Account> CredentialStore::search_files(const std::string& registry, const std::string& repository) const {
  const sys::Pipes pipes = places_.explicit_file ? sys::Pipes::taken : sys::Pipes::refused;
  for (const std::string& file : places_.files) {
    const auto text = sys::try_read_plain(AT_FDCWD, file, kMaxFile, pipes);
    if (!text && places_.explicit_file) throw Error(ErrorCode::input, "credential file " + file + " does not exist");
    if (!text || trim(*text).empty()) continue;
    try {
      const Value config = json::parse_object(*text, kMaxFile, "credentials");
      const bool legacy = file.ends_with("/.dockercfg");
      auto account = legacy ? from_entries(config, candidate_keys(registry, repository), file)
                            : from_config(config, registry, repository, file, warn_);
      if (account) return account;
    } catch (Error& e) {
      const ErrorCode code = e.code() == ErrorCode::corrupt ? ErrorCode::input : e.code();
      throw Error(code, cat(file, ": ", e.what()));
    }
  }
  return std::nullopt;
}

std::string CredentialStore::searched() const {
  std::vector<std::string> places;
  if (places_.helpers && !places_.explicit_file)
    for (const std::string& helper : places_.helpers())
      if (helper != routes::kAccountFiles) places.push_back("docker-credential-" + helper);
  places.insert(places.end(), places_.files.begin(), places_.files.end());
  return join(places, ", ");
}

}  // namespace cbuild::oci::registry
