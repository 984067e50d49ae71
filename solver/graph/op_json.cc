// SPDX-License-Identifier: Apache-2.0
// Ops as JSON for people and golden files. Which fields there are, and their order, comes from op_fields.h, which the
// canonical bytes and the lines of keys are made of as well; here is only how each kind of value is written.
#include "solver/graph/op_json.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/text.h"
#include "solver/graph/op_fields.h"

namespace cbuild::solver {

namespace {

using Json = nlohmann::ordered_json;

std::string octal(std::uint32_t mode) {
  std::string out;
  for (; mode != 0; mode >>= 3) out.insert(out.begin(), static_cast<char>('0' + (mode & 7)));
  return "0" + out;
}

const char* sharing_name(Sharing sharing) {
  static constexpr const char* kNames[] = {"shared", "private", "locked"};
  return kNames[static_cast<std::size_t>(sharing)];
}

/// Visitor of op_fields.h: collects fields, leaving out those that equal their default.
struct JsonFields {
  Json out = Json::object();

  template <typename T>
  void add(FieldName name, const T& value, const std::type_identity_t<T>& by_default = T{}) {
    if (value != by_default) out[name.json] = value;
  }
  void text(FieldName name, const std::string& value, const std::string& by_default = {}) {
    add(name, value, by_default);
  }
  void texts(FieldName name, const std::vector<std::string>& values) { add(name, values); }
  void flag(FieldName name, bool value, bool by_default = false) { add(name, value, by_default); }
  template <typename Number>
  void number(FieldName name, Number value) {
    add(name, value);
  }
  void mode(FieldName name, std::uint32_t value, std::uint32_t by_default) {
    if (value != by_default) out[name.json] = octal(value);
  }
  void digest(FieldName name, const Digest& value) { out[name.json] = value.str(); }
  void time(FieldName name, const std::optional<std::int64_t>& value) {
    if (value) out[name.json] = *value;
  }
  template <typename Fields>
  void keyed_if(bool, const Fields& fields) {
    fields();
  }

  void pinned_image(const Digest& manifest, const std::string& platform) {
    digest({"manifest"}, manifest);
    text({"platform"}, platform);
  }
  void command(const std::vector<std::string>& argv) { add({"argv"}, argv); }
  void variables(const std::vector<std::string>& environment) { add({"environment"}, environment); }
  void network(NetworkMode mode) {
    if (mode == NetworkMode::none) out["network"] = "none";
  }
  void file(const std::string& path, const std::string& content) {
    out["path"] = path;
    out["content"] = content;
  }
  void place(FieldName name, int input, const std::string& source) {
    add(name, input, -1);
    add({"source"}, source, "/");
  }
  void cache_id(const std::string& id, Sharing sharing) {
    out["id"] = id;
    out["sharing"] = sharing_name(sharing);
  }
  /// The hash of a value is a secret's own.
  void secret_id(const std::string& id, const std::string&) { out["id"] = id; }
  void copied(int input, const std::vector<std::string>& sources, const std::string& destination, bool) {
    out["input"] = input;
    out["sources"] = sources;
    text({"destination"}, destination);
  }

  void mounts(const std::vector<ExecMount>& mounts);
  void files(const std::vector<InlineFile>& files);
  void actions(const std::vector<FileAction>& actions);
  void settings(const ExecSettings& settings);
};

void JsonFields::mounts(const std::vector<ExecMount>& mounts) {
  for (const ExecMount& mount : mounts) {
    JsonFields entry{Json{{"target", mount.target}, {"type", kMountTypes[mount.what.index()]}}};
    std::visit([&](const auto& what) { visit_fields(what, entry); }, mount.what);
    out["mounts"].push_back(std::move(entry.out));
  }
}

void JsonFields::files(const std::vector<InlineFile>& files) {
  for (const InlineFile& file : files) {
    JsonFields entry;
    visit_fields(file, entry);
    out["files"].push_back(std::move(entry.out));
  }
}

void JsonFields::actions(const std::vector<FileAction>& actions) {
  Json& list = out["actions"] = Json::array();
  for (const FileAction& action : actions) {
    JsonFields entry{Json{{"action", kActionTypes[action.index()]}}};
    std::visit([&](const auto& what) { visit_fields(what, entry); }, action);
    list.push_back(std::move(entry.out));
  }
}

/// The host names of the op get their addresses. Of proxies only the names: the values may hold passwords.
void JsonFields::settings(const ExecSettings& settings) {
  const auto& [argument_names, unkeyed_environment, extra_hosts, proxy_environment, ulimits, shm_size, cgroup_parent,
               resources, timeout_ns, retries, own_network] = settings;
  add({"extra_hosts"}, extra_hosts);
  for (const std::string& variable : proxy_environment)
    out["proxy_environment"].push_back(variable.substr(0, variable.find('=')));
  for (const Ulimit& limit : ulimits) out["ulimits"].push_back(cat(limit.name, '=', limit.soft, ':', limit.hard));
  add({"shm_size"}, shm_size);
  add({"cgroup_parent"}, cgroup_parent);
  add({"memory_bytes"}, resources.memory_bytes);
  add({"memory_swap_bytes"}, resources.memory_swap_bytes);
  add({"cpu_shares"}, resources.cpu_shares);
  add({"cpu_period_us"}, resources.cpu_period_us);
  add({"cpu_quota_us"}, resources.cpu_quota_us);
  add({"cpuset_cpus"}, resources.cpuset_cpus);
  add({"cpuset_mems"}, resources.cpuset_mems);
  add({"timeout_ns"}, timeout_ns);
  add({"retries"}, retries);
  if (own_network) out["network"] = "own";
}

}  // namespace

Json op_json(const Op& op, const ExecSettings& settings) {
  JsonFields fields;
  std::visit([&](const auto& own) { visit_fields(own, fields); }, op);
  if (std::holds_alternative<ExecOp>(op)) fields.settings(settings);
  return std::move(fields.out);
}

}  // namespace cbuild::solver
