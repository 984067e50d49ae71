// SPDX-License-Identifier: Apache-2.0
// Lowering notes the inputs from outside by stage. The outline of a target is the sum of those of its stage, the stages
// this one is made of and the stages these copy from; an ARG above the first FROM counts if one of them uses it,
// directly or through another such ARG.
#include "frontend/lower/outline.h"

#include <algorithm>

#include "base/text.h"
#include "frontend/lower/lower_stage.h"
#include "frontend/stages/lookup.h"
#include "frontend/syntax/mount_spec.h"

namespace cbuild::frontend {
namespace {

/// An ARG above the first FROM.
struct GlobalArg {
  OutlineArg arg;
  std::set<std::string> uses;
};

/// The names that the default of an ARG uses. Where it uses its own name, the earlier ARG of that name and its uses
/// count.
std::set<std::string> names_used(const ArgInstruction::Item& item, const Variables& so_far, char escape,
                                 const std::map<std::string, GlobalArg>& earlier) {
  const WordUse use = look_up(*item.default_value, so_far, escape);
  std::set<std::string> out(use.set.begin(), use.set.end());
  if (out.erase(item.name.value) == 0) return out;
  const auto old = earlier.find(item.name.value);
  if (old != earlier.end()) out.insert(old->second.uses.begin(), old->second.uses.end());
  return out;
}

std::map<std::string, GlobalArg> global_args(const BuildState& build) {
  std::map<std::string, GlobalArg> out;
  Variables so_far;
  for (const Instruction& instruction : build.dockerfile.global_args) {
    for (const ArgInstruction::Item& item : std::get<ArgInstruction>(instruction.body).items) {
      const std::string& name = item.name.value;
      GlobalArg global{{name, {}, item.description, instruction.span}, {}};
      if (item.default_value && !build.globals.build_args.contains(name)) {
        global.uses = names_used(item, so_far, build.dockerfile.escape, out);
      }
      if (const std::string* value = build.globals.args.find(name)) {
        global.arg.value = *value;
        so_far.set(name, *value);
      }
      out[name] = std::move(global);
    }
  }
  return out;
}

class Collector {
 public:
  explicit Collector(const BuildState& build) : build_(build), globals_(global_args(build)) {}

  /// Everything of the stages that lie behind `target`, itself first; of several of one name the first one
  /// found counts.
  void collect(std::size_t target, Outline& out) {
    std::vector<std::size_t> open = {target};
    std::vector<bool> seen(build_.table.stages().size());
    while (!open.empty()) {
      const std::size_t stage = open.back();
      open.pop_back();
      if (seen[stage]) continue;
      seen[stage] = true;
      add_stage(build_.uses[stage], out);
      push_needed(build_.table.stages()[stage], open);
    }
  }

 private:
  void add_stage(const StageUse& use, Outline& out) {
    for (const std::string& name : use.used) add_arg(name, use, out);
    add_mounts(use.secrets, secrets_, out.secrets);
    add_mounts(use.ssh, ssh_, out.ssh);
    add_mounts(use.caches, caches_, out.caches);
  }

  /// Neither of the stage nor above the first FROM: an automatic one, which nobody has to give.
  void add_arg(const std::string& first, const StageUse& use, Outline& out) {
    std::vector<std::string> open = {first};
    while (!open.empty()) {
      const std::string name = std::move(open.back());
      open.pop_back();
      const auto own = use.args.find(name);
      const auto global = globals_.find(name);
      if ((own == use.args.end() && global == globals_.end()) || !args_.insert(name).second) continue;
      out.args.push_back(own != use.args.end() ? own->second : global->second.arg);
      if (global == globals_.end()) continue;
      open.insert(open.end(), global->second.uses.begin(), global->second.uses.end());
    }
  }

  static void add_mounts(const std::vector<OutlineMount>& from, std::set<std::string>& seen,
                         std::vector<OutlineMount>& to) {
    for (const OutlineMount& mount : from) {
      if (seen.insert(mount.id).second) to.push_back(mount);
    }
  }

  void push_needed(const StageInfo& info, std::vector<std::size_t>& open) const {
    if (info.replaced_by) return;
    const auto push = [&](const std::vector<Instruction>& instructions) {
      for (const Instruction& instruction : instructions) {
        for (const Origin& origin : build_.table.origins(instruction)) {
          if (origin.stage) open.push_back(*origin.stage);
        }
      }
    };
    push(build_.plan[info.index].triggers);
    push(info.syntax->instructions);
    if (info.base_stage) open.push_back(*info.base_stage);
  }

  const BuildState& build_;
  const std::map<std::string, GlobalArg> globals_;
  std::set<std::string> args_, secrets_, ssh_, caches_;
};

template <typename Entry>
void sort_by_place(const IncludeMap& includes, std::vector<Entry>& entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [&](const Entry& a, const Entry& b) { return includes.stands_before(a.span, b.span); });
}

}  // namespace

std::vector<TargetInfo> list_targets(const Dockerfile& dockerfile) {
  std::vector<TargetInfo> out;
  for (const Stage& stage : dockerfile.stages) {
    const auto& from = std::get<FromInstruction>(stage.from.body);
    out.push_back({stage.name, stage.description, from.image.value, from.platform ? from.platform->value : "", false,
                   stage.from.span});
  }
  if (!out.empty()) out.back().is_default = true;
  return out;
}

void note_from(BuildState& build, const StageInfo& info) {
  if (build.options.reports.outline == nullptr) return;
  const auto& from = std::get<FromInstruction>(info.syntax->from.body);
  const auto note = [&](const Text& word) {
    const WordUse use = look_up(word, build.globals.args, build.dockerfile.escape);
    build.uses[info.index].used.insert(use.set.begin(), use.set.end());
  };
  note(from.image);
  if (from.platform) note(*from.platform);
}

void note_arg(StageLowering& stage, const ArgInstruction::Item& item) {
  if (stage.build.options.reports.outline == nullptr) return;
  StageUse& use = stage.build.uses[stage.info.index];
  const std::string& name = item.name.value;
  use.used.insert(name);
  const GlobalScope& globals = stage.build.globals;
  const bool inherited =
      !item.default_value && !globals.build_args.contains(name) && globals.args.find(name) != nullptr;
  if (inherited) return;
  use.args[name] = {name, stage.state.scope.declared.back().value.value_or(""), item.description, stage.span()};
}

void note_mount(StageLowering& stage, const MountSpec& spec) {
  if (stage.build.options.reports.outline == nullptr) return;
  StageUse& use = stage.build.uses[stage.info.index];
  if (spec.type == MountSpec::Type::secret) {
    std::string id = spec.source.empty() ? spec.id : spec.source;
    if (id.empty()) id = base_name(spec.target);
    use.secrets.push_back({std::move(id), spec.required, stage.span()});
  } else if (spec.type == MountSpec::Type::ssh) {
    use.ssh.push_back({spec.id.empty() ? "default" : spec.id, spec.required, stage.span()});
  } else if (spec.type == MountSpec::Type::cache) {
    use.caches.push_back({spec.id.empty() ? clean_path(spec.target) : spec.id, false, stage.span()});
  }
}

Outline make_outline(const BuildState& build, std::size_t target) {
  const Stage& stage = *build.table.stages()[target].syntax;
  Outline out;
  out.name = stage.name;
  out.description = stage.description;
  Collector(build).collect(target, out);
  sort_by_place(build.dockerfile.includes, out.args);
  sort_by_place(build.dockerfile.includes, out.secrets);
  sort_by_place(build.dockerfile.includes, out.ssh);
  sort_by_place(build.dockerfile.includes, out.caches);
  return out;
}

}  // namespace cbuild::frontend
