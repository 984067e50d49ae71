// SPDX-License-Identifier: Apache-2.0
// From the syntax tree to the graph, in passes: the global scope, the table of stages, the plan (which stages the
// target needs, with their bases), then each needed stage in the order of the file, instruction by instruction. Several
// targets and platforms share one graph, in which equal vertices are one. A wrong instruction does not end the pass, so
// that one run reports many mistakes; they are reported before a failure to pull.
#include "frontend/lower/lower.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "frontend/lower/lower_plan.h"
#include "frontend/lower/lower_stage.h"
#include "frontend/lower/lower_validate.h"
#include "frontend/lower/sbom_scan.h"
#include "frontend/stages/check_from.h"
#include "frontend/stages/lower_diagnostic.h"
#include "frontend/syntax/check_syntax.h"
#include "frontend/syntax/parser_report.h"

namespace cbuild::frontend {

namespace {

bool sets_variables(const Instruction& instruction) {
  return std::holds_alternative<EnvInstruction>(instruction.body) ||
         std::holds_alternative<ArgInstruction>(instruction.body);
}

/// A wrong instruction is left out, so that the next one can be looked at; unless it is one that others depend on.
void execute_all(StageLowering& stage, const std::vector<Instruction>& instructions, bool are_triggers) {
  std::vector<Diagnostic>& errors = stage.build.errors;
  for (const Instruction& instruction : instructions) {
    if (stage.state.broken || errors.size() >= Report::kMaxErrors) return;
    try {
      stage.execute(instruction, are_triggers);
    } catch (const DiagnosticError& e) {
      errors.insert(errors.end(), e.diagnostics().begin(), e.diagnostics().end());
      stage.state.broken = sets_variables(instruction);
    }
  }
}

StageState lower_stage(BuildState& build, const StageInfo& info) {
  StageLowering stage = begin_stage(build, info);
  note_from(build, info);
  if (!info.replaced_by) {
    execute_all(stage, build.plan[info.index].triggers, true);
    execute_all(stage, info.syntax->instructions, false);
  }
  stage.state.done = true;
  if (build.options.scan_extras)
    build.scans[info.index] = scan_of_stage(info.display_name, stage.state.scope, build.globals.args);
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

std::vector<std::size_t> wanted_stages(const StageTable& table, std::size_t target, const LowerOptions& options) {
  std::vector<std::size_t> out = {target};
  if (!options.all_stages || !options.target.empty()) return out;
  for (const StageInfo& info : table.stages()) {
    if (info.index != target) out.push_back(info.index);
  }
  return out;
}

/// Mistakes of the user are told first, before failures to pull.
void lower_stages_or_throw(BuildState& build) {
  try {
    lower_stages(build);
  } catch (const Error&) {
    if (build.errors.empty()) throw;
  }
  if (!build.errors.empty()) throw DiagnosticError(std::move(build.errors));
}

/// With --platform the image has the requested platform, whatever its base said.
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
  out.target = build.options.target;
  out.platform = build.options.target_platform;
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

/// Reports every name that is not a stage, before any image is asked for.
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

/// Adds the vertices that `options.target` reaches to `graph`. `triggers` gains the number of ONBUILD triggers by
/// stage.
LoweredTarget lower_target(const Dockerfile& dockerfile, const LowerOptions& options, Sources& sources,
                           const NamedContexts& contexts, solver::Graph& graph, Checks& checks,
                           std::vector<std::size_t>& triggers) {
  const GlobalScope globals = make_global_scope(dockerfile, options);
  const StageTable table(dockerfile, options, contexts, globals.args, checks);
  const std::size_t target = table.target(options.target);
  const std::size_t count = table.stages().size();
  BuildState build{dockerfile,
                   options,
                   globals,
                   table,
                   sources,
                   graph,
                   checks,
                   plan_stages(table, wanted_stages(table, target, options), sources, checks),
                   std::vector<StageState>(count),
                   std::vector<StageUse>(count),
                   {},
                   {},
                   std::vector<StageScan>(count)};
  lower_stages_or_throw(build);
  if (options.reports.outline != nullptr) *options.reports.outline = make_outline(build, target);
  for (std::size_t i = 0; i < build.plan.size(); ++i)
    triggers[i] = std::max(triggers[i], build.plan[i].triggers.size());
  std::vector<ScanExtra> extras;
  if (options.scan_extras) extras = scan_extras(build, target);
  LoweredTarget out = finish_target(build, target);
  out.scan_extras = std::move(extras);
  return out;
}

LoweredTargets lower_all(const Dockerfile& dockerfile, const LowerOptions& options,
                         const std::vector<std::string>& targets, ImageResolver& images, Checks& checks) {
  if (dockerfile.stages.empty()) reject({}, "dockerfile contains no stages to build");
  check_syntax(dockerfile, checks);
  validate_build_args(options.build_args);
  validate_stages(dockerfile);
  check_default_arguments(dockerfile, options, checks);
  LoweredTargets out;
  const NamedContexts contexts(options.named_contexts);
  LowerOptions own = options;
  Sources sources(own, contexts, images, out.graph);
  own.target = targets.front();
  check_targets(StageTable(dockerfile, own, contexts, make_global_scope(dockerfile, own).args, checks), targets);
  std::vector<std::size_t> triggers(dockerfile.stages.size());
  std::vector<oci::Platform> platforms = options.platforms;
  if (platforms.empty()) platforms.push_back(options.target_platform);
  Checks none = Checks::none();
  for (const std::string& target : targets) {
    own.target = target;
    own.reports = options.reports;
    for (const oci::Platform& platform : platforms) {
      own.target_platform = platform;
      const bool first = &platform == &platforms.front();
      out.targets.push_back(
          lower_target(dockerfile, own, sources, contexts, out.graph, first ? checks : none, triggers));
      own.reports.outline = nullptr;
    }
  }
  out.notes = trigger_notes(triggers);
  checks.throw_if_errors();
  return out;
}

}  // namespace

LoweredTargets lower_targets(const Dockerfile& dockerfile, const LowerOptions& options,
                             const std::vector<std::string>& targets, ImageResolver& images) {
  CBUILD_CHECK(!targets.empty());
  Checks none = Checks::none();
  try {
    return lower_all(dockerfile, options, targets, images,
                     options.reports.checks == nullptr ? none : *options.reports.checks);
  } catch (const DiagnosticError& e) {
    throw DiagnosticError(dockerfile.includes.with_chains(e.diagnostics()));
  }
}

Lowered lower(const Dockerfile& dockerfile, const LowerOptions& options, ImageResolver& images) {
  LoweredTargets all = lower_targets(dockerfile, options, {options.target}, images);
  return {std::move(all.graph), std::move(all.targets.front()), std::move(all.notes)};
}

}  // namespace cbuild::frontend
