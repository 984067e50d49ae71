// SPDX-License-Identifier: Apache-2.0
// registries.conf of podman, buildah and skopeo. A prefix is a host or a part of its repositories and ends where a part
// of the name ends; containers/image lets "example.com" also match "example.com:5000", which its own comment calls
// unintended, and which is not done here.
#include "oci/routes/registries_conf.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "oci/routes/toml_text.h"

namespace cbuild::oci::routes {
namespace {

/// "host/path" without slashes at its end.
std::string parse_location(const ConfigTable& table, const char* key) {
  std::string out = table.text(key);
  while (out.ends_with('/')) out.pop_back();
  if (out.find("://") != std::string::npos) table.refuse(key, cat(go_quote(out), " has a scheme; use HOST[:PORT]"));
  return out;
}

RegistryMirror parse_mirror(const ConfigTable& table, bool only_digests) {
  RegistryMirror out;
  out.place = {parse_location(table, "location"), table.truth("insecure")};
  if (out.place.location.empty()) table.refuse("mirror", "has no location");
  const std::string use = table.text("pull-from-mirror");
  if (use.empty()) {
    out.for_tags = !only_digests;
    return out;
  }
  if (only_digests) table.refuse("pull-from-mirror", "and mirror-by-digest-only do not go together");
  if (use != "all" && use != "digest-only" && use != "tag-only")
    table.refuse("pull-from-mirror", cat(go_quote(use), " is not all, digest-only or tag-only"));
  out.for_tags = use != "digest-only";
  out.for_digests = use != "tag-only";
  return out;
}

RegistryTable parse_table(const nlohmann::ordered_json& json, const std::string& file) {
  const ConfigTable table(json, file);
  RegistryTable out;
  out.file = file;
  out.place = {parse_location(table, "location"), table.truth("insecure")};
  out.prefix = parse_location(table, "prefix");
  if (out.prefix.empty()) out.prefix = out.place.location;
  if (out.prefix.empty()) table.refuse("registry", "has neither prefix nor location");
  if (out.place.location == out.prefix) out.place.location.clear();
  out.blocked = table.truth("blocked");
  const bool only_digests = table.truth("mirror-by-digest-only");
  for (const nlohmann::ordered_json* mirror : table.tables("mirror"))
    out.mirrors.push_back(parse_mirror({*mirror, file}, only_digests));
  return out;
}

/// Version 1 has lists of hosts.
void add_old_list(const ConfigTable& registries, const char* key, bool RegistryTable::*flag, bool RegistryPlace::*safe,
                  std::vector<RegistryTable>& out, const std::string& file) {
  const nlohmann::ordered_json* list = registries.find(key);
  if (list == nullptr || !list->is_object()) return;
  for (const std::string& host : ConfigTable(*list, file).texts("registries")) {
    auto known = std::find_if(out.begin(), out.end(), [&](const RegistryTable& t) { return t.prefix == host; });
    if (known == out.end()) {
      out.push_back({host, {}, {}, false, file});
      known = std::prev(out.end());
    }
    if (flag != nullptr) (*known).*flag = true;
    if (safe != nullptr) known->place.*safe = true;
  }
}

/// The end of a match: a whole name, or a part of its path. A host is not the same host at a port.
bool ends_part(std::string_view name, std::size_t end, bool has_path) {
  if (end == name.size() || name[end] == '/') return true;
  return has_path && (name[end] == ':' || name[end] == '@');
}

}  // namespace

RegistriesFile parse_registries_conf(std::string_view text, const std::string& file) {
  const nlohmann::ordered_json document = parse_toml(text, file);
  const ConfigTable top(document, file);
  RegistriesFile out;
  if (top.find("credential-helpers") != nullptr) out.credential_helpers = top.texts("credential-helpers");
  for (const nlohmann::ordered_json* table : top.tables("registry")) out.tables.push_back(parse_table(*table, file));
  const nlohmann::ordered_json* old = top.find("registries");
  if (old == nullptr || !old->is_object()) return out;
  const ConfigTable registries(*old, file);
  add_old_list(registries, "block", &RegistryTable::blocked, nullptr, out.tables, file);
  add_old_list(registries, "insecure", nullptr, &RegistryPlace::insecure, out.tables, file);
  return out;
}

std::optional<std::size_t> match_prefix(std::string_view name, std::string_view prefix) {
  const bool has_path = prefix.find('/') != std::string_view::npos;
  if (!prefix.starts_with("*.")) {
    if (!name.starts_with(prefix) || !ends_part(name, prefix.size(), has_path)) return std::nullopt;
    return prefix.size();
  }
  prefix.remove_prefix(1);
  const std::size_t host_end = std::min(name.find('/'), name.size());
  for (std::size_t at = name.find(prefix); at != std::string_view::npos && at < host_end;
       at = name.find(prefix, at + 1))
    if (at > 0 && ends_part(name, at + prefix.size(), has_path)) return at + prefix.size();
  return std::nullopt;
}

const RegistryTable* find_table(const std::vector<RegistryTable>& tables, std::string_view name) {
  const RegistryTable* out = nullptr;
  for (const RegistryTable& table : tables)
    if (match_prefix(name, table.prefix) && (out == nullptr || table.prefix.size() >= out->prefix.size())) out = &table;
  return out;
}

Reference rewrite(const Reference& reference, std::string_view prefix, const std::string& location) {
  const std::string name = reference.str();
  const std::size_t matched = match_prefix(name, prefix).value_or(0);
  const std::string text = location + name.substr(matched);
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) throw Error(ErrorCode::input, cat("invalid image name ", go_quote(text)));
  const std::string host = text.substr(0, slash);
  if (host == "docker.io") return parse_reference(text);
  // A host without a dot or a port would be taken for a part of Docker Hub.
  Reference out = parse_reference(cat("host.invalid", text.substr(slash)));
  out.registry = host;
  return out;
}

}  // namespace cbuild::oci::routes
