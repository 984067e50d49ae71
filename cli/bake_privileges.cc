// SPDX-License-Identifier: Apache-2.0
// A bake file may be someone else's: files outside of the working directory, the host's network, more rights for steps
// and the default ssh agent are only given to its targets if the user says so.
#include "cli/bake_privileges.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "bake/names.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

namespace fs = std::filesystem;

struct Granted {
  bool any_read = false, any_write = false, host_network = false, insecure = false, ssh = false, devices = false;
  std::vector<fs::path> read, write;
};

/// With the symbolic links of the part that exists followed.
fs::path real_path(const std::string& path) {
  std::error_code error;
  fs::path out = fs::weakly_canonical(fs::absolute(path), error);
  return error ? fs::absolute(path).lexically_normal() : out;
}

void grant_path(const std::string& key, const std::string& value, Granted& out) {
  const bool read = key != "fs.write", write = key != "fs.read";
  if (value == "*") {
    out.any_read = out.any_read || read;
    out.any_write = out.any_write || write;
    return;
  }
  if (read) out.read.push_back(real_path(value));
  if (write) out.write.push_back(real_path(value));
}

void grant(const std::string& text, Granted& out) {
  const auto equals = text.find('=');
  const std::string key = text.substr(0, equals), value = equals == std::string::npos ? "" : text.substr(equals + 1);
  if (key == "network.host")
    out.host_network = true;
  else if (key == "security.insecure")
    out.insecure = true;
  else if (key == "ssh")
    out.ssh = true;
  else if (key == "device")
    out.devices = true;
  else if (key == "fs" || key == "fs.read" || key == "fs.write")
    grant_path(key, value, out);
  else if (key != "image" && key != "image.push" && key != "image.load" && key != "buildx.local.delete")
    throw Error(ErrorCode::usage, cat("unknown entitlement key ", go_quote(key)));
}

Granted granted_of(const bake::Resolved& resolved, const std::vector<std::string>& allow) {
  Granted out;
  grant_path("fs", ".", out);
  for (const std::string& text : allow) grant(text, out);
  for (const std::string& path : resolved.grants.read_paths) grant_path("fs.read", path, out);
  for (const std::string& path : resolved.grants.write_paths) grant_path("fs.write", path, out);
  out.host_network = out.host_network || resolved.grants.host_network;
  out.insecure = out.insecure || resolved.grants.insecure;
  const char* checks = std::getenv("BUILDX_BAKE_ENTITLEMENTS_FS");
  if (checks && (std::string_view(checks) == "0" || std::string_view(checks) == "false"))
    out.any_read = out.any_write = out.ssh = true;
  return out;
}

bool is_below(const fs::path& path, const std::vector<fs::path>& roots) {
  return std::any_of(roots.begin(), roots.end(), [&](const fs::path& root) {
    const fs::path relative = path.lexically_relative(root);
    return !relative.empty() && *relative.begin() != "..";
  });
}

bool is_local(const std::string& path) {
  for (const std::string_view prefix : {"target:", "docker-image:", "oci-layout://"})
    if (path.starts_with(prefix)) return false;
  return !bake::is_remote(path);
}

/// Paths that a target reads and writes.
struct Paths {
  std::vector<std::string> read, write;
};

void add_caches(const std::optional<std::vector<bake::CacheEntry>>& caches, const std::string& key,
                std::vector<std::string>& out) {
  if (!caches) return;
  for (const bake::CacheEntry& cache : *caches)
    if (const auto path = cache.attributes.find(key); cache.type == "local" && path != cache.attributes.end())
      out.push_back(path->second);
}

Paths paths_of(const bake::Target& target) {
  Paths out;
  if (is_local(*target.context)) out.read.push_back(*target.context);
  for (const auto& [_, path] : target.contexts)
    if (is_local(path)) out.read.push_back(path.starts_with("cwd://") ? path.substr(6) : path);
  const std::string& dockerfile = *target.dockerfile;
  if (!target.dockerfile_inline && is_local(*target.context) && is_local(dockerfile))
    out.read.push_back(dockerfile.starts_with('/')        ? dockerfile
                       : dockerfile.starts_with("cwd://") ? dockerfile.substr(6)
                                                          : join_path(*target.context, dockerfile));
  add_caches(target.cache_from, "src", out.read);
  add_caches(target.cache_to, "dest", out.write);
  if (target.secrets)
    for (const bake::SecretEntry& secret : *target.secrets)
      if (!secret.source.empty()) out.read.push_back(secret.source);
  if (target.ssh)
    for (const bake::SshEntry& ssh : *target.ssh) out.read.insert(out.read.end(), ssh.paths.begin(), ssh.paths.end());
  if (target.outputs)
    for (const bake::OutputEntry& output : *target.outputs)
      if (!output.destination.empty() && output.destination != "-") out.write.push_back(output.destination);
  return out;
}

void check_entitlements(const bake::Target& target, const Granted& granted, std::set<std::string>& missing) {
  if (target.entitlements)
    for (const std::string& one : *target.entitlements) {
      const bool given = one == "network.host"        ? granted.host_network
                         : one == "security.insecure" ? granted.insecure
                         : one.starts_with("device")  ? granted.devices
                                                      : true;
      if (!given) missing.insert("--allow=" + one);
    }
  if (target.ssh && !granted.ssh)
    for (const bake::SshEntry& ssh : *target.ssh)
      if (ssh.paths.empty()) missing.insert("--allow=ssh");
}

void check_paths(const bake::Target& target, const Granted& granted, std::set<std::string>& missing) {
  const Paths paths = paths_of(target);
  for (const std::string& path : paths.read)
    if (!granted.any_read && !is_below(real_path(path), granted.read)) missing.insert("--allow=fs.read=" + path);
  for (const std::string& path : paths.write)
    if (!granted.any_write && !is_below(real_path(path), granted.write)) missing.insert("--allow=fs.write=" + path);
}

}  // namespace

void check_privileges(const bake::Resolved& resolved, const std::vector<std::string>& allow) {
  const Granted granted = granted_of(resolved, allow);
  std::set<std::string> missing;
  for (const auto& [_, target] : resolved.targets) {
    check_entitlements(target, granted, missing);
    check_paths(target, granted, missing);
  }
  if (missing.empty()) return;
  const std::vector<std::string> flags(missing.begin(), missing.end());
  throw Error(ErrorCode::denied, "additional privileges requested").with_hint(cat("to grant them: ", join(flags, " ")));
}

}  // namespace cbuild::cli
