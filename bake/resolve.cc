// SPDX-License-Identifier: Apache-2.0
#include "bake/resolve.h"

#include <algorithm>
#include <set>

#include "bake/names.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::bake {
namespace {

constexpr std::size_t kMaxInherited = 1000;

struct Members {
  Strings targets, groups;
};

/// The targets of a group, those of the groups in it included. A group that is met again on the way adds nothing.
Members members_of(const Config& config, const std::string& name, std::map<std::string, Members>& visited) {
  if (const auto known = visited.find(name); known != visited.end()) return known->second;
  const Group* group = find_group(config, name);
  if (!group) return {{name}, {}};
  if (visited.size() > 10000) throw Error(ErrorCode::input, "too many groups in groups");
  visited[name] = {};
  Members out{{}, {name}};
  for (const std::string& target : group->targets) {
    Members inner = members_of(config, target, visited);
    if (inner.targets.empty()) inner.targets = {target};
    out.targets.insert(out.targets.end(), inner.targets.begin(), inner.targets.end());
    out.groups.insert(out.groups.end(), inner.groups.begin(), inner.groups.end());
  }
  out = {without_repeats(out.targets), without_repeats(out.groups)};
  visited[name] = out;
  return out;
}

Strings matching_names(const Config& config, const std::string& pattern) {
  if (!is_pattern(pattern)) return {pattern};
  Strings out;
  for (const Group& group : config.groups)
    if (name_matches(pattern, group.name)) out.push_back(group.name);
  for (const Target& target : config.targets)
    if (name_matches(pattern, target.name)) out.push_back(target.name);
  if (out.empty()) throw Error(ErrorCode::not_found, cat("could not find any target matching ", go_quote(pattern)));
  return out;
}

[[noreturn]] void unknown_target(const Config& config, const std::string& name) {
  Strings known;
  for (const Target& target : config.targets) known.push_back(target.name);
  for (const Group& group : config.groups) known.push_back(group.name);
  const auto near = suggest(name, known);
  throw Error(ErrorCode::not_found, cat("failed to find target ", name))
      .with_hint(near ? cat("did you mean ", *near, "?") : "--list=targets shows all");
}

class Resolver {
 public:
  Resolver(const Config& config, const Overrides& overrides, Grants& grants)
      : config_(config), overrides_(overrides), grants_(grants) {}

  Target target(const std::string& name) {
    std::map<std::string, std::optional<Target>> visited;
    Target out = *inherited(name, visited);
    out.inherits.clear();
    if (!out.context) out.context = ".";
    if (out.dockerfile.value_or("").empty()) out.dockerfile = "Dockerfile";
    return out;
  }

 private:
  /// nullopt for one that inherits from itself, which adds nothing.
  std::optional<Target> inherited(const std::string& name, std::map<std::string, std::optional<Target>>& visited) {
    if (const auto known = visited.find(name); known != visited.end()) return known->second;
    if (visited.size() > kMaxInherited)
      throw Error(ErrorCode::input, cat("target ", name, " inherits from too many others"));
    visited[name] = std::nullopt;
    const Target* target = find_target(config_, name);
    if (!target) unknown_target(config_, name);
    Target out;
    out.name = name;
    for (const std::string& parent : target->inherits)
      if (const auto base = inherited(parent, visited)) merge(out, *base);
    merge(out, *target);
    if (const auto found = overrides_.find(name); found != overrides_.end())
      apply_overrides(out, found->second, grants_);
    normalize(out);
    visited[name] = out;
    return out;
  }

  const Config& config_;
  const Overrides& overrides_;
  Grants& grants_;
};

bool is_subset(const Strings& part, const Strings& whole) {
  return std::all_of(part.begin(), part.end(), [&](const std::string& item) {
    return std::find(whole.begin(), whole.end(), item) != whole.end();
  });
}

void check_platforms(const Target& target, const Target& linked) {
  const Strings own = target.platforms.value_or(Strings{}), other = linked.platforms.value_or(Strings{});
  if (own.size() > 1 && other.size() > 1 && !is_subset(own, other))
    throw Error(ErrorCode::input,
                cat("target ", linked.name, " cannot be used by ", target.name, ", because its platforms ",
                    join(other, ", "), " do not include all of ", join(own, ", ")));
}

/// Adds the targets that contexts name, and gives a target the entitlements of those it is linked to.
void load_links(const std::string& name, std::map<std::string, Target>& targets, Resolver& resolver, Strings path) {
  path.push_back(name);
  const auto contexts = targets.at(name).contexts;
  for (const auto& [_, context] : contexts) {
    if (!context.starts_with("target:")) continue;
    const std::string other = context.substr(7);
    if (other == name) throw Error(ErrorCode::input, cat("target ", name, " cannot link to itself"));
    if (std::find(path.begin(), path.end(), other) != path.end())
      throw Error(ErrorCode::input, cat("targets link to each other: ", join(path, " -> "), " -> ", other));
    if (!targets.contains(other)) {
      Target linked = resolver.target(other);
      linked.outputs = std::vector<OutputEntry>{{"cacheonly", "", {}}};
      linked.linked = true;
      targets.emplace(other, std::move(linked));
    }
    load_links(other, targets, resolver, path);
    Target& target = targets.at(name);
    const Target& linked = targets.at(other);
    if (linked.entitlements && !linked.entitlements->empty()) {
      if (!target.entitlements) target.entitlements.emplace();
      target.entitlements->insert(target.entitlements->end(), linked.entitlements->begin(), linked.entitlements->end());
      *target.entitlements = without_repeats(*target.entitlements);
    }
    check_platforms(target, linked);
  }
}

void add_default_group(const Strings& names, Resolved& out) {
  for (const std::string& name : names) {
    if (out.groups.contains("default") && name == "default") continue;
    Group& group = out.groups.try_emplace("default", Group{"default", "", {}}).first->second;
    group.targets.push_back(name);
  }
  const auto group = out.groups.find("default");
  if (group == out.groups.end()) return;
  group->second.targets = without_repeats(group->second.targets);
  std::sort(group->second.targets.begin(), group->second.targets.end());
}

}  // namespace

Resolved resolve(const Config& config, const Strings& names, const Strings& set_flags,
                 const std::map<std::string, std::string>& environment) {
  Strings wanted;
  for (const std::string& name : names)
    for (const std::string& match : matching_names(config, sanitized_name(name))) wanted.push_back(match);
  wanted = without_repeats(wanted);
  const Overrides overrides = parse_overrides(config, set_flags, environment);
  Resolved out;
  Resolver resolver(config, overrides, out.grants);
  for (const std::string& name : wanted) {
    std::map<std::string, Members> visited;
    const Members members = members_of(config, name, visited);
    for (const std::string& target : members.targets) out.targets.insert_or_assign(target, resolver.target(target));
    for (const std::string& group : members.groups) out.groups.insert_or_assign(group, *find_group(config, group));
  }
  add_default_group(wanted, out);
  Strings roots;
  for (const auto& [name, _] : out.targets) roots.push_back(name);
  for (const std::string& name : roots) load_links(name, out.targets, resolver, {});
  return out;
}

}  // namespace cbuild::bake
