// SPDX-License-Identifier: Apache-2.0
// What is printed, byte for byte as buildx has it: members in the order of its types, maps by key, "<", ">" and "&"
// escaped, tables as Go's tabwriter pads them.
#include "bake/print.h"

#include <algorithm>
#include <variant>

#include "bake/hcl/value.h"
#include "base/text.h"
#include "base/utf8.h"

namespace cbuild::bake {
namespace {

/// JSON whose objects keep the order of their members.
struct Node {
  using List = std::vector<Node>;
  using Members = std::vector<std::pair<std::string, Node>>;
  std::variant<std::string, List, Members> node;  ///< a text is a literal as it is written
};

Node quoted(const std::string& text) { return {hcl::json_string(text)}; }
Node literal(bool value) { return {std::string(value ? "true" : "false")}; }

void write(const Node& json, const std::string& indent, std::string& out) {
  if (const auto* text = std::get_if<std::string>(&json.node)) {
    out += *text;
    return;
  }
  const std::string inner = indent + "  ";
  bool first = true;
  const auto separate = [&] {
    out += first ? "\n" : ",\n";
    first = false;
    out += inner;
  };
  const auto* list = std::get_if<Node::List>(&json.node);
  out += list ? "[" : "{";
  if (list)
    for (const Node& item : *list) {
      separate();
      write(item, inner, out);
    }
  else
    for (const auto& [name, item] : std::get<Node::Members>(json.node)) {
      separate();
      out += hcl::json_string(name) + ": ";
      write(item, inner, out);
    }
  if (!first) out += "\n" + indent;
  out += list ? "]" : "}";
}

/// So that the output, read as a bake file, is the same text.
std::string escaped(const std::string& text) { return replace_all(replace_all(text, "${", "$${"), "%{", "%%{"); }

Node strings(const Strings& items, bool escape = false) {
  Node::List out;
  for (const std::string& item : items) out.push_back(quoted(escape ? escaped(item) : item));
  return {std::move(out)};
}

Node attributes(const Attributes& items) {
  Node::Members out;
  for (const auto& [name, value] : items) out.emplace_back(name, quoted(value));
  return {std::move(out)};
}

Node settings(const Settings& items) {
  Node::Members out;
  for (const auto& [name, value] : items)
    out.emplace_back(name, value ? quoted(escaped(*value)) : Node{std::string("null")});
  return {std::move(out)};
}

Node json_of(const Attestation& entry) {
  std::map<std::string, Node> all;
  for (const auto& [name, value] : entry.attributes) all.insert_or_assign(name, quoted(value));
  all.insert_or_assign("type", quoted(entry.type));
  if (entry.disabled) all.insert_or_assign("disabled", literal(true));
  return {Node::Members(all.begin(), all.end())};
}

Node json_of(const CacheEntry& entry) {
  Attributes all = entry.attributes;
  all["type"] = entry.type;
  return attributes(all);
}

Node json_of(const OutputEntry& entry) {
  Attributes all = entry.attributes;
  all["type"] = entry.type;
  if (!entry.destination.empty()) all["dest"] = entry.destination;
  return attributes(all);
}

Node json_of(const SecretEntry& entry) {
  Node::Members out;
  if (!entry.id.empty()) out.emplace_back("id", quoted(entry.id));
  if (!entry.source.empty()) out.emplace_back("src", quoted(entry.source));
  if (!entry.environment.empty()) out.emplace_back("env", quoted(entry.environment));
  return {std::move(out)};
}

Node json_of(const SshEntry& entry) {
  Node::Members out;
  if (!entry.id.empty()) out.emplace_back("id", quoted(entry.id));
  if (!entry.paths.empty()) out.emplace_back("paths", strings(entry.paths));
  return {std::move(out)};
}

Node json_of(const PolicyEntry& entry) {
  const Node null{std::string("null")};
  Node files = null;
  if (!entry.files.empty()) {
    Node::List list;
    for (const std::string& file : entry.files)
      list.push_back({Node::Members{{"Filename", quoted(file)}, {"Data", null}}});
    files = {std::move(list)};
  }
  return {Node::Members{{"Files", files},
                        {"Reset", literal(entry.reset)},
                        {"Disabled", literal(entry.disabled)},
                        {"Strict", entry.strict ? literal(*entry.strict) : null},
                        {"LogLevel", entry.log_level.empty() ? null : quoted(entry.log_level)}}};
}

Node json_of(const ResourceLimits& limits) {
  Node::Members out;
  const auto text = [&](const char* name, const std::optional<std::string>& value) {
    if (value) out.emplace_back(name, quoted(*value));
  };
  const auto number = [&](const char* name, const std::optional<std::int64_t>& value) {
    if (value) out.emplace_back(name, Node{std::to_string(*value)});
  };
  text("memory", limits.memory);
  text("memory-swap", limits.memory_swap);
  number("cpu-shares", limits.cpu_shares);
  number("cpu-period", limits.cpu_period);
  number("cpu-quota", limits.cpu_quota);
  text("cpuset-cpus", limits.cpuset_cpus);
  text("cpuset-mems", limits.cpuset_mems);
  return {std::move(out)};
}

/// The members of a target; what is not set or empty is left out.
class TargetMembers {
 public:
  void add(const char* name, Node value) { out_.emplace_back(name, std::move(value)); }
  void add(const char* name, const std::optional<std::string>& value) {
    if (value) add(name, quoted(*value));
  }
  void add(const char* name, const std::optional<bool>& value) {
    if (value) add(name, literal(*value));
  }
  void add(const char* name, const std::optional<Strings>& value, bool escape = false) {
    if (value && !value->empty()) add(name, strings(*value, escape));
  }
  void add(const char* name, const Settings& value) {
    if (!value.empty()) add(name, settings(value));
  }
  template <typename T>
  void add_entries(const char* name, const std::optional<std::vector<T>>& entries) {
    if (!entries || entries->empty()) return;
    Node::List list;
    for (const T& entry : *entries) list.push_back(json_of(entry));
    add(name, Node{std::move(list)});
  }
  Node take() { return {std::move(out_)}; }

 private:
  Node::Members out_;
};

Node json_of(const Target& target) {
  TargetMembers out;
  if (!target.description.empty()) out.add("description", quoted(target.description));
  out.add("annotations", target.annotations, true);
  out.add_entries("attest", target.attest);
  out.add("context", target.context);
  if (!target.contexts.empty()) out.add("contexts", attributes(target.contexts));
  out.add("dockerfile", target.dockerfile);
  if (target.dockerfile_inline) out.add("dockerfile-inline", quoted(escaped(*target.dockerfile_inline)));
  out.add("args", target.args);
  out.add("labels", target.labels);
  out.add("tags", target.tags);
  out.add_entries("cache-from", target.cache_from);
  out.add_entries("cache-to", target.cache_to);
  out.add("target", target.stage);
  out.add_entries("secret", target.secrets);
  out.add_entries("ssh", target.ssh);
  out.add("platforms", target.platforms);
  out.add_entries("output", target.outputs);
  out.add("pull", target.pull);
  out.add("no-cache", target.no_cache);
  out.add("network", target.network);
  out.add("no-cache-filter", target.no_cache_filter);
  out.add("shm-size", target.shm_size);
  out.add("ulimits", target.ulimits);
  if (target.resources) out.add("resources", json_of(*target.resources));
  out.add("call", target.call);
  out.add("entitlements", target.entitlements);
  out.add("extra-hosts", target.extra_hosts);
  out.add_entries("policy", target.policy);
  return out.take();
}

Node json_of(const Group& group) {
  Node::Members out;
  if (!group.description.empty()) out.emplace_back("description", quoted(group.description));
  out.emplace_back("targets", strings(group.targets));
  return {std::move(out)};
}

std::string document(const Node& json) {
  std::string out;
  write(json, "", out);
  return out + "\n";
}

/// Cells that a tab ends are padded with tabs to the widest of their column, in steps of eight.
std::string table(const std::vector<Strings>& rows) {
  std::vector<std::size_t> widths;
  for (const Strings& row : rows)
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], count_runes(row[i]));
    }
  std::string out;
  for (const Strings& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      const std::size_t width = (widths[i] + 1 + 7) / 8 * 8;
      out += row[i] + std::string((width - count_runes(row[i]) + 7) / 8, '\t');
    }
    out += row.back() + "\n";
  }
  return out;
}

struct Listed {
  std::string name, description;
  bool group = false;
};

Listed listed(const Group& group) {
  Strings targets = group.targets;
  std::sort(targets.begin(), targets.end());
  Listed out{group.name, group.description, true};
  const std::string names = join(targets, ", ");
  if (!names.empty()) out.description = out.description.empty() ? names : cat(out.description, " (", names, ")");
  return out;
}

}  // namespace

std::string to_json(const Resolved& resolved) {
  Node::Members groups, targets, all;
  for (const auto& [name, group] : resolved.groups) groups.emplace_back(name, json_of(group));
  for (const auto& [name, target] : resolved.targets) targets.emplace_back(name, json_of(target));
  if (!groups.empty()) all.emplace_back("group", Node{std::move(groups)});
  all.emplace_back("target", Node{std::move(targets)});
  return document({std::move(all)});
}

std::string list_targets(const Config& config, bool json) {
  std::vector<Listed> all;
  for (const Target& target : config.targets) all.push_back({target.name, target.description, false});
  for (const Group& group : config.groups) all.push_back(listed(group));
  std::erase_if(all, [](const Listed& one) { return one.name.starts_with('_'); });
  std::stable_sort(all.begin(), all.end(), [](const Listed& a, const Listed& b) { return a.name < b.name; });
  std::vector<Strings> rows = {{"TARGET", "DESCRIPTION"}};
  Node::List list;
  for (const Listed& one : all) {
    rows.push_back({one.name, one.description});
    Node::Members members = {{"name", quoted(one.name)}};
    if (!one.description.empty()) members.emplace_back("description", quoted(one.description));
    if (one.group) members.emplace_back("group", literal(true));
    list.push_back({std::move(members)});
  }
  if (json && list.empty()) return "null\n";
  return json ? document({std::move(list)}) : table(rows);
}

std::string list_variables(const Config& config, bool json) {
  std::vector<Strings> rows = {{"VARIABLE", "TYPE", "VALUE", "DESCRIPTION"}};
  Node::List list;
  for (const VariableInfo& one : config.variables) {
    rows.push_back({one.name, one.type, one.value.value_or("<null>"), one.description});
    Node::Members members = {{"name", quoted(one.name)}};
    if (!one.description.empty()) members.emplace_back("description", quoted(one.description));
    if (!one.type.empty()) members.emplace_back("type", quoted(one.type));
    if (one.value) members.emplace_back("value", quoted(*one.value));
    list.push_back({std::move(members)});
  }
  return json ? document({std::move(list)}) : table(rows);
}

}  // namespace cbuild::bake
