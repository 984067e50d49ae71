// SPDX-License-Identifier: Apache-2.0
// Lock files that are JSON. Members of other types than expected are left out.
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "supply/sbom/lock_files.h"

namespace cbuild::supply {
namespace {

using LockJson = nlohmann::json;

constexpr std::size_t kDeepest = 200;

/// Null for text that is not JSON, or nested deeper than any lock file.
LockJson parse_lock(std::string_view text) {
  bool too_deep = false;
  LockJson json = LockJson::parse(
      text, [&](int depth, LockJson::parse_event_t, LockJson&) { return !(too_deep |= depth > int{kDeepest}); }, false);
  return too_deep || json.is_discarded() ? LockJson() : json;
}

std::string member(const LockJson& json, const char* name) {
  const auto found = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const LockJson& child(const LockJson& json, const char* name) {
  static const LockJson none = LockJson::object();
  const auto found = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && found != json.end() && found->is_structured() ? *found : none;
}

void add_scoped(std::vector<Package>& out, const std::string& type, const std::string& name, const LockJson& entry) {
  Package package{type, {}, name, member(entry, "version"), {}, member(entry, "license"), {}, {}};
  if (const std::size_t slash = name.find('/'); slash != std::string::npos) {
    package.name_space = name.substr(0, slash);
    package.name = name.substr(slash + 1);
  }
  if (!package.name.empty() && !package.version.empty()) out.push_back(std::move(package));
}

/// "dependencies" of version 1, inside of each other.
void add_nested(std::vector<Package>& out, const LockJson& dependencies) {
  for (const auto& [name, entry] : dependencies.items()) {
    add_scoped(out, "npm", name, entry);
    add_nested(out, child(entry, "dependencies"));
  }
}

}  // namespace

std::vector<Package> parse_package_lock(std::string_view json) {
  std::vector<Package> out;
  const LockJson lock = parse_lock(json);
  const LockJson& packages = child(lock, "packages");
  if (packages.empty()) {
    add_nested(out, child(lock, "dependencies"));
    return out;
  }
  constexpr std::string_view kModules = "node_modules/";
  for (const auto& [path, entry] : packages.items()) {
    const std::size_t modules = path.rfind(kModules);
    if (modules == std::string::npos) continue;  // the project itself
    const std::string own = member(entry, "name");
    add_scoped(out, "npm", own.empty() ? path.substr(modules + kModules.size()) : own, entry);
  }
  return out;
}

std::vector<Package> parse_composer_lock(std::string_view json) {
  std::vector<Package> out;
  const LockJson lock = parse_lock(json);
  for (const char* list : {"packages", "packages-dev"})
    for (const LockJson& entry : child(lock, list)) add_scoped(out, "composer", member(entry, "name"), entry);
  return out;
}

std::vector<Package> parse_pipfile_lock(std::string_view json) {
  std::vector<Package> out;
  const LockJson lock = parse_lock(json);
  for (const char* list : {"default", "develop"})
    for (const auto& [name, entry] : child(lock, list).items()) {
      const std::string version = member(entry, "version");
      if (version.starts_with("==")) out.push_back({"pypi", {}, to_lower(name), version.substr(2), {}, {}, {}, {}});
    }
  return out;
}

}  // namespace cbuild::supply
