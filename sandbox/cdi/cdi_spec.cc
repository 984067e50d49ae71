// SPDX-License-Identifier: Apache-2.0
// One CDI file -> values. Fields that newer versions of the format add are passed over; all others must make sense.
#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "base/yaml/yaml_json.h"
#include "sandbox/cdi/cdi.h"

namespace cbuild::sandbox::cdi {
namespace {

using Json = nlohmann::json;

[[noreturn]] void fail(std::string message) { throw Error(ErrorCode::input, std::move(message)); }

const Json* member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const Json& items(const Json& object, const char* key) {
  static const Json none = Json::array();
  const Json* value = member(object, key);
  if (value == nullptr) return none;
  if (!value->is_array()) fail(cat(key, " is not a list"));
  return *value;
}

const Json& as_object(const Json& value, std::string_view what) {
  if (!value.is_object()) fail(cat(what, " is not an object"));
  return value;
}

std::string text(const Json& object, const char* key) {
  const Json* value = member(object, key);
  if (value == nullptr) return {};
  if (!value->is_string()) fail(cat(key, " is not a string"));
  return value->get<std::string>();
}

std::uint32_t number(const Json& object, const char* key, std::uint32_t otherwise) {
  const Json* value = member(object, key);
  if (value == nullptr) return otherwise;
  const bool fits = value->is_number_integer() && value->get<std::int64_t>() >= 0 &&
                    value->get<std::int64_t>() <= std::numeric_limits<std::uint32_t>::max();
  if (!fits) fail(cat(key, " is not a number from 0 to 4294967295"));
  return value->get<std::uint32_t>();
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_word(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }

/// Names of vendors and classes begin with a letter, names of devices with a letter or digit; all end with one.
bool is_name(std::string_view name, std::string_view inner, bool starts_with_letter) {
  if (name.empty() || !(starts_with_letter ? is_letter(name.front()) : is_word(name.front())) || !is_word(name.back()))
    return false;
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_word(c) || inner.find(c) != std::string_view::npos; });
}

std::string absolute_path(const Json& object, const char* key, bool required) {
  std::string path = text(object, key);
  if (path.empty() && !required) return path;
  if (!path.starts_with('/') || path.find('\0') != std::string::npos)
    fail(cat(key, " ", go_quote(path), " is not an absolute path"));
  return clean_path(path);
}

DeviceNode parse_node(const Json& json) {
  as_object(json, "a member of deviceNodes");
  DeviceNode node;
  node.path = absolute_path(json, "path", true);
  node.host_path = absolute_path(json, "hostPath", false);
  const std::string type = text(json, "type");
  if (type.size() > 1 || std::string_view("bcup").find(type) == std::string_view::npos)
    fail(cat("device type ", go_quote(type), " is unknown"));
  node.type = type.empty() ? '\0' : type == "u" ? 'c' : type[0];
  node.major = number(json, "major", 0);
  node.minor = number(json, "minor", 0);
  node.mode = number(json, "fileMode", 0666) & 07777;
  node.uid = number(json, "uid", 0);
  node.gid = number(json, "gid", 0);
  const std::string permissions = text(json, "permissions");
  if (permissions.find_first_not_of("rwm") != std::string::npos)
    fail(cat("permissions ", go_quote(permissions), " are not of r, w, m"));
  node.may_read = permissions.empty() || permissions.find('r') != std::string::npos;
  node.may_write = permissions.empty() || permissions.find('w') != std::string::npos;
  return node;
}

HostMount parse_host_mount(const Json& json) {
  as_object(json, "a member of mounts");
  HostMount mount{absolute_path(json, "hostPath", true), absolute_path(json, "containerPath", true)};
  if (mount.container_path == "/") fail("containerPath \"/\" would hide the whole root");
  const std::string type = text(json, "type");
  if (!type.empty() && type != "bind" && type != "none") fail(cat("mount type ", go_quote(type), " is not bind"));
  for (const Json& option : items(json, "options")) {
    if (!option.is_string()) fail("a mount option is not a string");
    mount.read_only = mount.read_only || option == "ro";
    mount.no_suid = mount.no_suid || option == "nosuid";
    mount.no_dev = mount.no_dev || option == "nodev";
    mount.no_exec = mount.no_exec || option == "noexec";
  }
  return mount;
}

Edits parse_edits(const Json& owner) {
  Edits edits;
  const Json* json = member(owner, "containerEdits");
  if (json == nullptr) return edits;
  as_object(*json, "containerEdits");
  for (const Json& entry : items(*json, "env")) {
    if (!entry.is_string() || entry.get_ref<const std::string&>().find('=') + 1 < 2)
      fail("an env entry is not NAME=VALUE");
    edits.environment.push_back(entry.get<std::string>());
  }
  for (const Json& node : items(*json, "deviceNodes")) edits.nodes.push_back(parse_node(node));
  for (const Json& mount : items(*json, "mounts")) edits.mounts.push_back(parse_host_mount(mount));
  for (const Json& hook : items(*json, "hooks"))
    edits.hooks.push_back(absolute_path(as_object(hook, "a member of hooks"), "path", true));
  for (const Json& gid : items(*json, "additionalGids"))
    edits.additional_gids.push_back(number(Json{{"gid", gid}}, "gid", 0));
  return edits;
}

/// JSON form of a value that a file may have written without quotes.
std::map<std::string, std::string> parse_annotations(const Json& owner) {
  std::map<std::string, std::string> out;
  const Json* json = member(owner, "annotations");
  if (json == nullptr) return out;
  for (const auto& [key, value] : as_object(*json, "annotations").items()) {
    if (value.is_structured()) fail(cat("annotation ", key, " is not a string"));
    out[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return out;
}

void check_kind(const std::string& kind) {
  const std::size_t slash = kind.find('/');
  const std::string_view vendor = std::string_view(kind).substr(0, slash);
  const std::string_view type =
      slash == std::string::npos ? std::string_view() : std::string_view(kind).substr(slash + 1);
  if (!is_name(vendor, "_-.", true) || !is_name(type, "_-", true))
    fail(cat("kind ", go_quote(kind), " is not VENDOR/CLASS"));
}

}  // namespace

void Edits::add(const Edits& other) {
  environment.insert(environment.end(), other.environment.begin(), other.environment.end());
  nodes.insert(nodes.end(), other.nodes.begin(), other.nodes.end());
  mounts.insert(mounts.end(), other.mounts.begin(), other.mounts.end());
  additional_gids.insert(additional_gids.end(), other.additional_gids.begin(), other.additional_gids.end());
  hooks.insert(hooks.end(), other.hooks.begin(), other.hooks.end());
}

SpecFile parse_spec(std::string_view content) {
  const Json json = yaml::yaml_to_json(content);
  as_object(json, "the file");
  SpecFile file;
  if (text(json, "cdiVersion").empty()) fail("cdiVersion is missing");
  file.kind = text(json, "kind");
  check_kind(file.kind);
  file.edits = parse_edits(json);
  const auto shared = parse_annotations(json);
  for (const Json& entry : items(json, "devices")) {
    const std::string name = text(as_object(entry, "a member of devices"), "name");
    if (!is_name(name, "_-.:", false)) fail(cat("device name ", go_quote(name), " is not allowed"));
    Device device{cat(file.kind, "=", name), parse_annotations(entry), parse_edits(entry)};
    device.annotations.insert(shared.begin(), shared.end());
    file.devices.push_back(std::move(device));
  }
  return file;
}

}  // namespace cbuild::sandbox::cdi
