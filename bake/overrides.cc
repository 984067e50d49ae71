// SPDX-License-Identifier: Apache-2.0
#include "bake/overrides.h"

#include <algorithm>
#include <functional>

#include "bake/entries.h"
#include "bake/hcl/convert.h"
#include "bake/names.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::bake {
namespace {

using hcl::ValueError;

[[noreturn]] void usage(const std::string& message, std::string hint = "") {
  throw Error(ErrorCode::usage, message).with_hint(std::move(hint));
}

bool is_list_key(std::string_view key) {
  static constexpr std::string_view kKeys[] = {"output",      "cache-to", "cache-from",      "tags",         "platform",
                                               "secrets",     "ssh",      "attest",          "entitlements", "network",
                                               "annotations", "policy",   "no-cache-filter", "ulimits"};
  return std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys);
}

bool needs_name(std::string_view key) {
  return key == "args" || key == "contexts" || key == "resources" || key == "secret" || key == "labels" ||
         key == "extra-hosts";
}

Strings matching_targets(const Config& config, const std::string& pattern) {
  if (find_target(config, pattern)) return {pattern};
  Strings out;
  for (const Target& target : config.targets)
    if (name_matches(pattern, target.name)) out.push_back(target.name);
  if (out.empty()) usage(cat("could not find any target matching ", go_quote(pattern)));
  return out;
}

/// One --set taken apart.
struct Flag {
  std::string pattern, key, name;  ///< name: what follows the key, as in args.NAME
  std::optional<std::string> value;
  bool append = false;

  std::string path() const { return name.empty() ? key : cat(key, ".", name); }
};

Flag parse_flag_text(const std::string& text) {
  Flag out;
  const auto equals = text.find('=');
  std::string keys = text.substr(0, equals);
  if (equals != std::string::npos) out.value = text.substr(equals + 1);
  out.append = keys.ends_with('+');
  if (out.append) keys.pop_back();
  const auto first = keys.find('.');
  if (first == std::string::npos)
    usage(cat("invalid override key ", keys, ", expected target.name"), "--set TARGET.KEY=VALUE");
  const auto second = keys.find('.', first + 1);
  out.pattern = keys.substr(0, first);
  out.key = keys.substr(first + 1, second == std::string::npos ? second : second - first - 1);
  if (second != std::string::npos) out.name = keys.substr(second + 1);
  if (!out.value && out.key != "args") usage(cat("invalid override ", text, ", expected target.name=value"));
  if (needs_name(out.key) && out.name.empty()) usage(cat("invalid key ", keys, ", ", out.key, " requires a name"));
  if (out.append && (out.key == "resources" || out.key == "secret"))
    usage(cat("invalid key ", keys, "+, ", out.key, " does not support append"));
  return out;
}

void add_override(std::map<std::string, Override>& overrides, const Flag& flag) {
  Override& override = overrides[flag.path()];
  if (is_list_key(flag.key)) {
    override.append = flag.append;
    override.values.push_back(*flag.value);
    if (flag.key == "network") override.value = *flag.value;
    return;
  }
  override.value = *flag.value;
}

template <typename T>
std::vector<T> parse_all(const Strings& texts, T (*parse)(const std::string&)) {
  std::vector<T> out;
  for (const std::string& text : texts) out.push_back(parse(text));
  return out;
}

template <typename T>
void set_list(std::optional<std::vector<T>>& list, const Override& override, const std::vector<T>& entries) {
  if (override.append)
    merge_entries(list, entries);
  else
    list = entries;
}

void override_strings(std::optional<Strings>& list, const Override& override) {
  if (!override.append || !list) list.emplace();
  list->insert(list->end(), override.values.begin(), override.values.end());
}

void add_strings(std::optional<Strings>& list, const Override& override) {
  if (!list) list.emplace();
  list->insert(list->end(), override.values.begin(), override.values.end());
}

std::vector<CacheEntry> parse_caches(const Strings& texts) {
  std::vector<CacheEntry> out;
  for (const std::string& text : texts) {
    const auto entries = parse_cache(text);
    out.insert(out.end(), entries.begin(), entries.end());
  }
  return out;
}

void grant_local(const std::optional<std::vector<CacheEntry>>& caches, const std::string& key, Strings& paths) {
  for (const CacheEntry& cache : *caches)
    if (const auto path = cache.attributes.find(key); cache.type == "local" && path != cache.attributes.end())
      paths.push_back(path->second);
}

/// Without pushing: outputs that do nothing else go, others no longer push.
void set_push(Target& target, bool push) {
  if (!target.outputs) target.outputs.emplace();
  auto& outputs = *target.outputs;
  if (!push) std::erase_if(outputs, [](const OutputEntry& output) { return output.type == "registry"; });
  for (OutputEntry& output : outputs)
    if (output.type == "image") output.attributes["push"] = push ? "true" : "false";
  const bool add = push && std::all_of(outputs.begin(), outputs.end(),
                                       [](const OutputEntry& output) { return output.type == "docker"; });
  if (add) outputs.push_back({"image", "", {{"push", "true"}}});
}

void set_load(Target& target, bool load) {
  if (!load) return;
  if (!target.outputs) target.outputs.emplace();
  for (const OutputEntry& output : *target.outputs) {
    const bool loads = output.type == "docker" && output.destination.empty();
    const bool is_image =
        output.type == "docker" || output.type == "image" || output.type == "registry" || output.type == "oci";
    if (loads || !is_image) return;
  }
  target.outputs->push_back({"docker", "", {}});
}

void set_secret(Target& target, const std::string& id, const std::string& value, Grants& grants) {
  const SecretEntry next = parse_secret(value);
  if (!next.id.empty() && next.id != id)
    usage(cat("secret override id ", go_quote(next.id), " does not match declared secret ", go_quote(id)));
  if (target.secrets)
    for (SecretEntry& secret : *target.secrets) {
      if (secret.id != id) continue;
      secret.environment = next.environment;
      secret.source = next.source;
      if (!secret.source.empty()) grants.read_paths.push_back(secret.source);
      return;
    }
  usage(cat("secret ", go_quote(id), " must be declared before it can be overridden"));
}

void set_resource(Target& target, const std::string& name, const std::string& value) {
  if (!target.resources) target.resources.emplace();
  ResourceLimits& limits = *target.resources;
  for (const auto& [key, member] :
       {std::pair{"memory", &limits.memory}, std::pair{"memory-swap", &limits.memory_swap},
        std::pair{"cpuset-cpus", &limits.cpuset_cpus}, std::pair{"cpuset-mems", &limits.cpuset_mems}})
    if (name == key) return static_cast<void>(*member = value);
  for (const auto& [key, member] :
       {std::pair{"cpu-shares", &limits.cpu_shares}, std::pair{"cpu-period", &limits.cpu_period},
        std::pair{"cpu-quota", &limits.cpu_quota}}) {
    if (name != key) continue;
    const auto number = parse_int(value);
    if (!number) usage(cat("invalid value ", value, " for int64 key resources.", name));
    *member = *number;
    return;
  }
  usage(cat("unknown resources key ", name));
}

void override_policy(Target& target, const Override& override) {
  if (!override.append || !target.policy) target.policy.emplace();
  for (const std::string& text : override.values) target.policy->push_back(parse_policy(text));
}

void add_entitlements(Target& target, const Override& override, Grants& grants) {
  add_strings(target.entitlements, override);
  for (const std::string& value : override.values) {
    grants.host_network = grants.host_network || value == "network.host";
    grants.insecure = grants.insecure || value == "security.insecure";
  }
}

/// Attributes that are lists; false for others.
bool apply_list(Target& target, const std::string& key, const Override& override, Grants& grants) {
  if (key == "tags")
    override_strings(target.tags, override);
  else if (key == "platform")
    override_strings(target.platforms, override);
  else if (key == "no-cache-filter")
    override_strings(target.no_cache_filter, override);
  else if (key == "ulimits")
    override_strings(target.ulimits, override);
  else if (key == "annotations")
    add_strings(target.annotations, override);
  else if (key == "entitlements")
    add_entitlements(target, override, grants);
  else if (key == "policy")
    override_policy(target, override);
  else if (key == "attest")
    merge_entries(target.attest, parse_all(override.values, parse_attestation));
  else if (key == "secrets")
    set_list(target.secrets, override, parse_all(override.values, parse_secret));
  else if (key == "ssh")
    set_list(target.ssh, override, parse_all(override.values, parse_ssh));
  else if (key == "output")
    set_list(target.outputs, override, parse_all(override.values, parse_output));
  else if (key == "cache-from")
    set_list(target.cache_from, override, parse_caches(override.values));
  else if (key == "cache-to")
    set_list(target.cache_to, override, parse_caches(override.values));
  else
    return false;
  return true;
}

void grant_paths(const Target& target, const std::string& key, Grants& grants) {
  if (key == "cache-from") grant_local(target.cache_from, "src", grants.read_paths);
  if (key == "cache-to") grant_local(target.cache_to, "dest", grants.write_paths);
  if (key == "output")
    for (const OutputEntry& output : *target.outputs)
      if (!output.destination.empty()) grants.write_paths.push_back(output.destination);
  if (key == "ssh")
    for (const SshEntry& ssh : *target.ssh)
      grants.read_paths.insert(grants.read_paths.end(), ssh.paths.begin(), ssh.paths.end());
  if (key == "secrets")
    for (const SecretEntry& secret : *target.secrets)
      if (!secret.source.empty()) grants.read_paths.push_back(secret.source);
}

bool flag_value(const std::string& key, const std::string& value) {
  try {
    return parse_flag(value, value);
  } catch (const ValueError&) {
    usage(cat("invalid value ", value, " for boolean key ", key));
  }
}

/// Attributes with one value.
void apply_value(Target& target, const std::string& key, const std::string& name, const std::string& value,
                 Grants& grants) {
  if (key == "context")
    target.context = value;
  else if (key == "dockerfile")
    target.dockerfile = value;
  else if (key == "args")
    target.args[name] = value;
  else if (key == "contexts")
    target.contexts[name] = value;
  else if (key == "labels")
    target.labels[name] = value;
  else if (key == "target")
    target.stage = value;
  else if (key == "call")
    target.call = value;
  else if (key == "no-cache")
    target.no_cache = flag_value(key, value);
  else if (key == "shm-size")
    target.shm_size = value;
  else if (key == "resources")
    set_resource(target, name, value);
  else if (key == "network")
    target.network = value;
  else if (key == "pull")
    target.pull = flag_value(key, value);
  else if (key == "push")
    set_push(target, flag_value(key, value));
  else if (key == "load")
    set_load(target, flag_value(key, value));
  else if (key == "extra-hosts")
    target.extra_hosts[name] = value;
  else if (key == "secret")
    set_secret(target, name, value, grants);
  else
    usage(cat("unknown key: ", key));
}

/// Outputs are given before they are made to push or load, secrets before one of them is changed.
int order_of(const std::string& key) { return key == "load" || key == "push" || key.starts_with("secret.") ? 1 : 0; }

}  // namespace

Overrides parse_overrides(const Config& config, const Strings& flags,
                          const std::map<std::string, std::string>& environment) {
  Overrides out;
  for (const std::string& text : flags) {
    Flag flag = parse_flag_text(text);
    const Strings targets = matching_targets(config, flag.pattern);
    if (!flag.value) {
      const auto value = environment.find(flag.name);
      if (value == environment.end()) continue;
      flag.value = value->second;
    }
    for (const std::string& target : targets) add_override(out[target], flag);
  }
  return out;
}

void apply_overrides(Target& target, const std::map<std::string, Override>& overrides, Grants& grants) {
  try {
    for (const int round : {0, 1})
      for (const auto& [path, override] : overrides) {
        if (order_of(path) != round) continue;
        const auto dot = path.find('.');
        const std::string key = path.substr(0, dot), name = dot == std::string::npos ? "" : path.substr(dot + 1);
        if (!apply_list(target, key, override, grants)) apply_value(target, key, name, override.value, grants);
        grant_paths(target, key, grants);
      }
  } catch (const ValueError& error) {
    usage(cat("invalid override of ", target.name, ": ", error.what()));
  }
}

}  // namespace cbuild::bake
