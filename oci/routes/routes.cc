// SPDX-License-Identifier: Apache-2.0
// One answer from the files of four programs. The first that says where a registry's images are decides: a table of
// registries.conf with mirrors or a location, then the registry's hosts.toml, then its mirrors in buildkitd.toml, then
// daemon.json, which knows mirrors of Docker Hub only. What they allow or forbid counts wherever it stands: blocked
// names, registries without verified TLS, certificates.
#include "oci/routes/routes.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::oci::routes {
namespace {

constexpr std::size_t kMostConfig = 1u << 20;

/// nullopt also where another user's directory is closed to this one.
std::optional<std::string> read_if_allowed(const std::string& path) {
  try {
    return sys::try_read_plain(AT_FDCWD, path, kMostConfig);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::denied) throw;
    return std::nullopt;
  }
}

/// A later table takes the place of one with the same prefix, and a later list that of an earlier one.
void add_registries(RegistriesFile& all, RegistriesFile more) {
  for (RegistryTable& table : more.tables) {
    const auto same = [&](const RegistryTable& known) { return known.prefix == table.prefix; };
    std::erase_if(all.tables, same);
    all.tables.push_back(std::move(table));
  }
  if (more.credential_helpers) all.credential_helpers = std::move(more.credential_helpers);
}

RegistriesFile read_registries(const ConfigFiles& files) {
  RegistriesFile out;
  for (const std::string& path : files.registries_conf) {
    const auto text = sys::try_read_plain(AT_FDCWD, path, kMostConfig);
    if (!text && files.registries_conf_is_named) throw Error(ErrorCode::input, cat(path, " does not exist"));
    if (!text) continue;
    add_registries(out, parse_registries_conf(*text, path));
    break;
  }
  for (const std::string& path : files.registries_conf_dirs) {
    const auto dir = sys::try_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (!dir) continue;
    for (const std::string& name : sys::list_dir(dir->get())) {
      const std::string file = join_path(path, name);
      if (!name.ends_with(".conf")) continue;
      if (const auto text = sys::try_read_plain(AT_FDCWD, file, kMostConfig))
        add_registries(out, parse_registries_conf(*text, file));
    }
  }
  return out;
}

DaemonFile read_daemon(const ConfigFiles& files) {
  for (const std::string& path : files.daemon_json)
    if (const auto text = read_if_allowed(path)) return parse_daemon_json(*text, path);
  return {};
}

BuildkitFile read_buildkit(const ConfigFiles& files) {
  for (const std::string& path : files.buildkitd_toml)
    if (const auto text = read_if_allowed(path)) return parse_buildkitd_toml(*text, path, dir_name(path));
  return {};
}

/// The registry's own directory, in the first of the directories that has one.
std::optional<HostsFile> read_hosts(const ConfigFiles& files, const std::string& registry) {
  if (registry.find('/') != std::string::npos || registry.starts_with('.')) return std::nullopt;
  for (const std::string& root : files.hosts_dirs)
    for (const std::string& name : hosts_directories(registry)) {
      const std::string directory = join_path(root, name), file = join_path(directory, "hosts.toml");
      if (const auto text = read_if_allowed(file)) return parse_hosts_toml(*text, file, directory);
    }
  return std::nullopt;
}

Route route_of_place(const RegistryPlace& place, const RegistryTable& table, const Reference& reference) {
  Route out = plain_route(place.location.empty() ? reference : rewrite(reference, table.prefix, place.location));
  out.insecure = place.insecure;
  out.file = table.file;
  return out;
}

std::vector<Route> through_table(const RegistryTable& table, const Reference& reference, Asking asking) {
  std::vector<Route> out;
  for (const RegistryMirror& mirror : table.mirrors) {
    const bool wanted = asking == Asking::blob || (asking == Asking::tag ? mirror.for_tags : mirror.for_digests);
    if (!wanted) continue;
    out.push_back(route_of_place(mirror.place, table, reference));
    out.back().is_mirror = true;
  }
  out.push_back(route_of_place(table.place, table, reference));
  return out;
}

Route route_of_host(const HostEntry& entry, const Reference& reference, const std::string& file) {
  Route out = plain_route(reference);
  out.tls = entry.tls;
  out.clients = entry.clients;
  out.headers = entry.headers;
  out.dial = entry.dial;
  out.file = file;
  if (!entry.url) return out;
  const std::string host = api_host(entry.url->authority());
  if (host != out.host) {
    out.reference.registry = out.host = host;
    out.upstream = reference.registry;
  }
  out.scheme = entry.url->scheme;
  out.root = entry.url->path == "/" ? std::string() : entry.url->path;
  return out;
}

bool is_same_place(const Route& a, const Route& b) {
  return a.host == b.host && a.root == b.root && (a.scheme.empty() || b.scheme.empty() || a.scheme == b.scheme);
}

std::vector<Route> through_daemon(const DaemonFile& daemon, const Reference& reference) {
  std::vector<Route> out;
  if (reference.registry == "docker.io")
    for (const http::Url& mirror : daemon.mirrors) {
      HostEntry entry;
      entry.url = mirror;
      const std::string path = mirror.path == "/" ? std::string() : clean_path(mirror.path);
      entry.url->path = path.ends_with("/v2") ? path : path + "/v2";
      out.push_back(route_of_host(entry, reference, daemon.file));
      out.back().upstream.clear();  // docker does not send it
      out.back().is_mirror = true;
    }
  out.push_back(plain_route(reference));
  return out;
}

/// Mirrors of a buildkitd.toml have no scheme of their own: their tables say how they are reached.
std::vector<Route> through_buildkit(const BuildkitRegistry& registry, const std::string& file,
                                    const Reference& reference) {
  std::vector<Route> out;
  for (const http::Url& mirror : registry.mirrors) {
    HostEntry entry;
    entry.url = mirror;
    out.push_back(route_of_host(entry, reference, file));
    out.back().scheme.clear();
    out.back().is_mirror = true;
  }
  out.push_back(plain_route(reference));
  return out;
}

bool says_where(const RegistryTable* table) {
  return table != nullptr && (!table->mirrors.empty() || !table->place.location.empty());
}

std::string describe_place(const RegistryPlace& place) {
  return cat(place.location, place.insecure ? " (insecure)" : "");
}

Described describe_table(const RegistryTable& table) {
  std::vector<std::string> parts;
  for (const RegistryMirror& mirror : table.mirrors) {
    const char* use = mirror.for_tags && mirror.for_digests ? "" : mirror.for_tags ? " for tags" : " for digests";
    parts.push_back(cat("mirror ", describe_place(mirror.place), use));
  }
  if (!table.place.location.empty()) parts.push_back(cat("location ", describe_place(table.place)));
  if (table.place.location.empty() && table.place.insecure) parts.emplace_back("insecure");
  if (table.blocked) parts.emplace_back("blocked");
  return {table.prefix, parts.empty() ? "as it is" : join(parts, "; "), table.file};
}

Described describe_hosts(const std::string& registry, const HostsFile& hosts) {
  std::vector<std::string> parts;
  for (const HostEntry& mirror : hosts.mirrors) parts.push_back(cat("mirror ", mirror.url->str()));
  if (hosts.server.url) parts.push_back(cat("server ", hosts.server.url->str()));
  return {registry, parts.empty() ? "as it is" : join(parts, "; "), hosts.file};
}

Described describe_buildkit(const BuildkitRegistry& registry, const std::string& file) {
  std::vector<std::string> parts;
  for (const http::Url& mirror : registry.mirrors)
    parts.push_back(cat("mirror ", mirror.authority(), mirror.path == "/v2" ? "" : mirror.path.substr(3)));
  if (registry.http) parts.emplace_back(*registry.http ? "plain http" : "TLS only");
  if (!registry.tls.verify) parts.emplace_back("insecure");
  if (!registry.tls.extra_ca.empty()) parts.emplace_back("authorities of its own");
  if (!registry.clients.empty()) parts.push_back(cat(registry.clients.size(), " client certificates"));
  return {registry.host, parts.empty() ? "as it is" : join(parts, "; "), file};
}

}  // namespace

Routes::Routes(ConfigFiles files) : files_(std::move(files)) {}

const RegistriesFile& Routes::registries() {
  const std::lock_guard lock(mutex_);
  if (!registries_) registries_ = read_registries(files_);
  return *registries_;
}

const BuildkitFile& Routes::buildkit() {
  const std::lock_guard lock(mutex_);
  if (!buildkit_) buildkit_ = read_buildkit(files_);
  return *buildkit_;
}

const DaemonFile& Routes::daemon() {
  const std::lock_guard lock(mutex_);
  if (!daemon_) daemon_ = read_daemon(files_);
  return *daemon_;
}

const HostsFile* Routes::hosts(const std::string& registry) {
  const std::lock_guard lock(mutex_);
  auto known = hosts_.find(registry);
  if (known == hosts_.end()) known = hosts_.emplace(registry, read_hosts(files_, registry)).first;
  return known->second ? &*known->second : nullptr;
}

const RegistryTable* Routes::table_for(const Reference& reference) {
  const RegistryTable* table =
      find_table(registries().tables, reference.repository.empty() ? reference.registry : reference.str());
  if (table != nullptr && table->blocked)
    throw Error(ErrorCode::denied, cat(table->prefix, " is blocked in ", table->file));
  return table;
}

std::vector<Route> Routes::through_hosts(const HostsFile& hosts, const Reference& reference, Asking asking) const {
  std::vector<Route> out;
  Route last = route_of_host(hosts.server, reference, hosts.file);
  for (const HostEntry& host : hosts.mirrors) {
    Route route = route_of_host(host, reference, hosts.file);
    if (is_same_place(route, last)) {  // the registry itself, with members of its own
      last = std::move(route);
      continue;
    }
    if (!host.pulls || (asking == Asking::tag && !host.resolves)) continue;
    route.is_mirror = true;
    out.push_back(std::move(route));
  }
  out.push_back(std::move(last));
  return out;
}

std::vector<Route> Routes::places(const RegistryTable* table, const Reference& reference, Asking asking) {
  if (says_where(table)) return through_table(*table, reference, asking);
  if (const HostsFile* file = hosts(reference.registry)) return through_hosts(*file, reference, asking);
  const BuildkitRegistry* known = buildkit().find(reference.registry);
  if (known != nullptr && !known->mirrors.empty()) return through_buildkit(*known, buildkit().file, reference);
  return through_daemon(daemon(), reference);
}

/// BuildKit's "http" with "insecure" is TLS with any certificate, else plain http.
void Routes::add_buildkit(Route& route) {
  const BuildkitRegistry* known = buildkit().find(route.reference.registry);
  if (known == nullptr) return;
  const bool plain = known->http.value_or(false);
  if (plain && !known->tls.verify) route.insecure = true;
  if (route.scheme.empty() && known->http && !route.insecure) route.scheme = plain ? "http" : "https";
  route.tls.verify = route.tls.verify && known->tls.verify;
  route.tls.extra_ca += known->tls.extra_ca;
  route.clients.insert(route.clients.end(), known->clients.begin(), known->clients.end());
  if (route.file.empty()) route.file = buildkit().file;
}

std::vector<Route> Routes::reading(const Reference& reference, Asking asking) {
  const RegistryTable* table = table_for(reference);
  std::vector<Route> out = places(table, reference, asking);
  if (!says_where(table) && table != nullptr && table->place.insecure) {
    out.back().insecure = true;
    if (out.back().file.empty()) out.back().file = table->file;
  }
  for (Route& route : out) add_buildkit(route);
  return out;
}

Route Routes::writing(const Reference& reference) {
  const RegistryTable* table = table_for(reference);
  const HostsFile* file = hosts(reference.registry);
  Route out = file != nullptr ? through_hosts(*file, reference, Asking::blob).back() : plain_route(reference);
  out.insecure = table != nullptr && table->place.location.empty() && table->place.insecure;
  add_buildkit(out);
  return out;
}

std::vector<std::string> Routes::credential_helpers() {
  return registries().credential_helpers.value_or(std::vector<std::string>{});
}

bool Routes::is_insecure(const http::Url& url) { return daemon().is_insecure(url); }

std::vector<std::string> Routes::certificate_directories(const std::string& host) const {
  std::vector<std::string> out;
  for (const std::string& root : files_.cert_dirs) out.push_back(join_path(root, host));
  for (const std::string& root : files_.hosts_dirs)
    for (const std::string& name : hosts_directories(host)) {
      const std::string directory = join_path(root, name);
      if (!sys::try_stat_at(AT_FDCWD, join_path(directory, "hosts.toml"), 0)) out.push_back(directory);
    }
  return out;
}

std::vector<Described> Routes::describe() {
  std::vector<Described> out;
  for (const RegistryTable& table : registries().tables) out.push_back(describe_table(table));
  std::vector<std::string> seen;
  for (const std::string& root : files_.hosts_dirs) {
    const auto dir = sys::try_open_at(AT_FDCWD, root, O_RDONLY | O_DIRECTORY);
    if (!dir) continue;
    for (const std::string& name : sys::list_dir(dir->get())) {
      const std::string directory = join_path(root, name), path = join_path(directory, "hosts.toml");
      const auto text = read_if_allowed(path);
      if (!text || std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
      seen.push_back(name);
      out.push_back(describe_hosts(name, parse_hosts_toml(*text, path, directory)));
    }
  }
  for (const BuildkitRegistry& registry : buildkit().registries)
    out.push_back(describe_buildkit(registry, buildkit().file));
  const DaemonFile& known = daemon();
  for (const http::Url& mirror : known.mirrors)
    out.push_back({"docker.io", cat("mirror ", mirror.origin()), known.file});
  for (const std::string& host : known.insecure_hosts) out.push_back({host, "insecure", known.file});
  if (!known.insecure_ranges.empty())
    out.push_back({"addresses", cat(known.insecure_ranges.size(), " ranges are insecure"), known.file});
  return out;
}

}  // namespace cbuild::oci::routes
