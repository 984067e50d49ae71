// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "frontend/lower_diagnostic.h"
#include "frontend/lower_plan.h"
#include "frontend/lower_stage.h"
#include "frontend/lower_validate.h"

// Lowering runs in passes: the global scope, the table of stages, the plan (what the target reaches, with its
// bases), then every reached stage in the order of the file, instruction by instruction.
namespace cbuild::frontend {

namespace {

void execute_all(StageLowering& stage, const std::vector<Instruction>& instructions, bool are_triggers) {
  for (const Instruction& instruction : instructions) stage.execute(instruction, are_triggers);
}

StageState lower_stage(BuildState& build, const StageInfo& info) {
  StageLowering stage = begin_stage(build, info);
  if (!info.replaced_by) {
    execute_all(stage, build.plan[info.index].triggers, true);
    execute_all(stage, info.syntax->instructions, false);
  }
  stage.state.done = true;
  return std::move(stage.state);
}

/// Contexts that stand in for stages come first: they may be used before the place where the stage stands.
void lower_stages(BuildState& build) {
  for (const bool replaced : {true, false}) {
    for (const StageInfo& info : build.table.stages()) {
      if (!build.plan[info.index].reached || info.replaced_by.has_value() != replaced) continue;
      build.states[info.index] = lower_stage(build, info);
    }
  }
}

/// With --platform the image says what was asked for, whatever its base said.
void set_platform(oci::ImageConfig& image, const LowerOptions& options) {
  oci::Platform& own = image.platform;
  const oci::Platform& wanted = options.target_platform;
  if (options.platform_given) {
    const bool same = own.os == wanted.os && own.architecture == wanted.architecture;
    own.os = wanted.os;
    own.architecture = wanted.architecture;
    if (!wanted.variant.empty() || !same) own.variant = wanted.variant;
    if (!wanted.os_version.empty() || !same) own.os_version = wanted.os_version;
    if (!wanted.os_features.empty()) own.os_features = wanted.os_features;
  }
  own = oci::normalize(own);
}

LoweredTarget finish_target(BuildState& build, std::size_t index) {
  LoweredTarget out;
  out.stage_name = build.table.stages()[index].syntax->name;
  out.result = stage_root(build, index);
  StageState state = std::move(build.states[index]);
  out.config = std::move(state.image);
  for (const auto& [name, value] : build.options.labels) out.config.config.labels[name] = value;
  set_platform(out.config, build.options);
  out.layer_vertices = std::move(state.layer_vertices);
  out.base_history = state.base_history;
  out.source_date_epoch = build.globals.source_date_epoch;
  out.base_name = std::move(state.base_name);
  out.base_digest = state.base_digest;
  return out;
}

/// Reports every name that is no stage, before any image is asked for.
void check_targets(const StageTable& table, const std::vector<std::string>& targets) {
  std::vector<Diagnostic> wrong;
  for (const std::string& target : targets) {
    try {
      table.target(target);
    } catch (const DiagnosticError& e) {
      wrong.insert(wrong.end(), e.diagnostics().begin(), e.diagnostics().end());
    }
  }
  if (!wrong.empty()) throw DiagnosticError(std::move(wrong));
}

/// Adds what `options.target` reaches to `graph`. `triggers` gains the number of ONBUILD triggers by stage.
LoweredTarget lower_target(const Dockerfile& dockerfile, const LowerOptions& options, Sources& sources,
                           const NamedContexts& contexts, solver::Graph& graph, std::vector<std::size_t>& triggers) {
  const GlobalScope globals = make_global_scope(dockerfile, options);
  const StageTable table(dockerfile, options, contexts, globals.args);
  const std::size_t target = table.target(options.target);
  BuildState build{dockerfile, options, globals, table, sources, graph, plan_stages(table, target, sources),
                   std::vector<StageState>(table.stages().size())};
  lower_stages(build);
  for (std::size_t i = 0; i < build.plan.size(); ++i) triggers[i] = std::max(triggers[i], build.plan[i].triggers.size());
  return finish_target(build, target);
}

}  // namespace

LoweredTargets lower_targets(const Dockerfile& dockerfile, const LowerOptions& options,
                             const std::vector<std::string>& targets, ImageResolver& images) {
  CBUILD_CHECK(!targets.empty());
  if (dockerfile.stages.empty()) reject({}, "dockerfile contains no stages to build");
  validate_build_args(options.build_args);
  validate_stages(dockerfile);
  LoweredTargets out;
  const NamedContexts contexts(options.named_contexts);
  Sources sources(options, contexts, images, out.graph);
  LowerOptions own = options;
  own.target = targets.front();
  check_targets(StageTable(dockerfile, own, contexts, make_global_scope(dockerfile, own).args), targets);
  std::vector<std::size_t> triggers(dockerfile.stages.size());
  for (const std::string& target : targets) {
    own.target = target;
    out.targets.push_back(lower_target(dockerfile, own, sources, contexts, out.graph, triggers));
  }
  out.notes = trigger_notes(triggers);
  out.warnings = dockerfile.warnings;
  return out;
}

Lowered lower(const Dockerfile& dockerfile, const LowerOptions& options, ImageResolver& images) {
  LoweredTargets all = lower_targets(dockerfile, options, {options.target}, images);
  return {std::move(all.graph), std::move(all.targets.front()), std::move(all.notes), std::move(all.warnings)};
}

}  // namespace cbuild::frontend
