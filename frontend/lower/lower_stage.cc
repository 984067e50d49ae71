// SPDX-License-Identifier: Apache-2.0
//
// The state of a stage while its instructions are executed one by one: root vertex, config, scope, step numbers. A
// stage starts from a base image, from another stage or from nothing (begin_stage); a base's ONBUILD triggers run
// before its own instructions. The meaning of each instruction is in lower_instructions.cc, lower_copy.cc and
// lower_run.cc; lower.cc calls the stages in order and collects the mistakes.
#include "frontend/lower/lower_stage.h"

#include <algorithm>

#include "base/text.h"
#include "frontend/lower/check_stage.h"
#include "frontend/lower/lower_instructions.h"
#include "frontend/stages/config_base.h"
#include "frontend/stages/history.h"
#include "frontend/stages/lookup.h"
#include "frontend/stages/lower_diagnostic.h"
#include "frontend/text/expand.h"

namespace cbuild::frontend {

namespace {

bool is_step(const Instruction& instruction) {
  return std::holds_alternative<RunInstruction>(instruction.body) ||
         std::holds_alternative<CopyInstruction>(instruction.body) ||
         std::holds_alternative<WorkdirInstruction>(instruction.body);
}

/// FROM as progress shows it, whatever the base is.
std::string from_text(const ResolvedBase& base) {
  if (!base.context) return cat("FROM ", base.name);
  return cat("FROM ", base.context->name, " (", describe_context(*base.context), ")");
}

/// BuildKit counts every trigger as a step, whatever it does.
std::size_t count_steps(const StageInfo& info, const PlannedStage& plan) {
  const std::vector<Instruction>& own = info.syntax->instructions;
  const auto steps = static_cast<std::size_t>(std::count_if(own.begin(), own.end(), is_step));
  return (plan.base ? 1 : 0) + plan.triggers.size() + steps;
}

/// The platform that TARGETPLATFORM and its parts name where a stage declares them.
std::optional<oci::Platform> declared_target(const Variables& variables) {
  if (const std::string* whole = variables.find("TARGETPLATFORM")) {
    if (const std::optional<oci::Platform> platform = oci::parse_platform(*whole)) return platform;
  }
  const std::string* os = variables.find("TARGETOS");
  const std::string* architecture = variables.find("TARGETARCH");
  const std::string* variant = variables.find("TARGETVARIANT");
  if (os == nullptr && architecture == nullptr && variant == nullptr) return std::nullopt;
  oci::Platform out;
  out.os = os == nullptr ? "" : *os;
  if (architecture != nullptr) out.architecture = *architecture;
  if (variant != nullptr) out.variant = *variant;
  return out;
}

/// "->arm64" when a stage of one platform builds for another.
std::string cross_mark(const oci::Platform& own, std::optional<oci::Platform> target) {
  if (!target) return {};
  if (target->os.empty()) target->os = own.os;
  if (target->architecture.empty()) target->architecture = own.architecture;
  const oci::Platform wanted = oci::normalize(*target);
  if (wanted.os != own.os) return cat("->", wanted.str());
  if (wanted.architecture == own.architecture) return {};
  return cat("->", wanted.architecture, wanted.variant.empty() ? "" : "/", wanted.variant);
}

std::string upper_first_word(std::string text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  return to_upper(text.substr(0, end)) + text.substr(end);
}

/// Variables of the base's config go over the ARGs a base stage left behind.
void load_config(StageState& state) {
  ensure_path(state.image, state.platform);
  state.scope.variables.set_all(state.image.config.env);
  std::string& dir = state.image.config.working_dir;
  if (!dir.empty()) dir = join_workdir(dir, dir);
}

/// The state that a stage made of stage `index` starts from. The last one takes it whole: long chains of stages with
/// long histories are not copied at every link. The root and `done` stay, for copies from there.
StageState take_state(BuildState& build, std::size_t index) {
  if (--build.plan[index].dependents > 0) return build.states[index];
  return std::move(build.states[index]);
}

StageState start_of(BuildState& build, const StageInfo& info) {
  if (info.base_stage) {
    const solver::VertexId root = stage_root(build, *info.base_stage);
    StageState state = take_state(build, *info.base_stage);
    state.root = root;
    state.image.config.on_build.clear();
    state.done = false;
    return state;
  }
  StageState state;
  const std::optional<ResolvedBase>& base = build.plan[info.index].base;
  if (base) {
    state.image = base->config;
    state.platform = base->platform;
    state.base_name = base->name;
    if (base->image) state.base_digest = base->image->manifest;
    state.image.config.on_build.clear();
    state.image.extra.clear();  // BuildKit drops members it does not know
  } else {
    state.platform = build.options.target_platform;
    state.image = scratch_config(state.platform);
  }
  state.base_history = state.image.history.size();
  return state;
}

}  // namespace

StageLowering::StageLowering(BuildState& shared, const StageInfo& stage, StageState start)
    : build(shared), info(stage), state(std::move(start)), steps_total_(count_steps(stage, shared.plan[stage.index])) {}

const Span& StageLowering::span() const {
  return instruction == nullptr || in_trigger_ ? info.syntax->from.span : instruction->span;
}

std::string StageLowering::expand(const Text& word) const {
  Expansion expansion = at(word.span, [&] {
    const Variables& variables = state.scope.variables;
    try {
      return expand_word(word.value, variables.environment(), {.escape = build.dockerfile.escape});
    } catch (Error& e) {
      if (e.hint().empty()) e.with_hint(hint_for_unset(word, variables, build.dockerfile.escape));
      throw;
    }
  });
  check_undefined(*this, expansion.unset);
  return std::move(expansion.text);
}

std::string StageLowering::expand_heredoc(const Heredoc& heredoc) const {
  if (!heredoc.expand) return heredoc.body;
  Expansion expansion = at(
      heredoc.span, [&] { return expand_word(heredoc.body, state.scope.variables.environment(), {.heredoc = true}); });
  check_undefined(*this, expansion.unset);
  return std::move(expansion.text);
}

bool StageLowering::ignores_cache() const {
  if (info.ignore_cache) return true;
  const Span& place = span();
  return std::any_of(
      build.options.no_cache_filter.begin(), build.options.no_cache_filter.end(), [&](const std::string& filter) {
        const std::size_t colon = filter.rfind(':');
        if (colon == std::string::npos || !place) return false;
        const auto line = parse_int(std::string_view(filter).substr(colon + 1));
        const std::string stage = filter.substr(0, colon);
        if (!line || !(stage.empty() || iequals(stage, info.syntax->name) || iequals(stage, info.display_name)))
          return false;
        const auto first = place.source->position(place.begin).line, last = place.source->position(place.end).line;
        return *line >= first && *line <= last;
      });
}

void StageLowering::set_variable(const std::string& name, const std::string& value) {
  state.scope.variables.set(name, value);
  set_config_env(state.image.config.env, state.env_places, name, value);
}

std::string StageLowering::platform_prefix() const {
  if (!build.options.multi_platform) return {};
  return cat(state.platform.str(), cross_mark(state.platform, declared_target(state.scope.variables)), " ");
}

std::string StageLowering::step_prefix() const {
  const std::string total = std::to_string(steps_total_);
  std::string number = std::to_string(steps_done_);
  if (number.size() < total.size()) number.insert(0, total.size() - number.size(), ' ');
  return cat("[", platform_prefix(), info.display_name, info.display_name.empty() ? "" : " ", number, "/", total, "] ",
             in_trigger_ ? "ONBUILD " : "");
}

std::string StageLowering::next_step(const std::string& text) {
  ++steps_done_;
  return same_step(text);
}

std::string StageLowering::same_step(const std::string& text) const { return step_prefix() + text; }

std::string StageLowering::instruction_text() const {
  const std::string original(trim(instruction->original));
  try {
    return upper_first_word(
        expand_word(original, state.scope.variables.environment(), {.escape = build.dockerfile.escape}).text);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::input) throw;
    return upper_first_word(original);
  }
}

solver::Vertex StageLowering::make_vertex(solver::Op op, std::string step_name) const {
  solver::Vertex vertex;
  vertex.op = std::move(op);
  vertex.inputs = {state.root};
  vertex.name = std::move(step_name);
  vertex.spans = {span()};
  vertex.stage = info.display_name;
  return vertex;
}

void StageLowering::set_root(solver::Vertex vertex) {
  state.root = build.graph.add(std::move(vertex));
  state.layer_vertices.push_back(state.root);
}

void StageLowering::add_history(std::string created_by, bool owns_layer) {
  frontend::add_history(state.image, std::move(created_by), owns_layer ? Layer::own : Layer::none,
                        build.globals.source_date_epoch);
}

void StageLowering::execute(const Instruction& next, bool is_trigger) {
  instruction = &next;
  in_trigger_ = is_trigger;
  const auto run = [&] { at(span(), [&] { std::visit([&](const auto& body) { apply(*this, body); }, next.body); }); };
  if (is_trigger) {
    relocate_errors(span(), trigger_prefix(next), run);
  } else {
    run();
  }
}

std::string trigger_prefix(const Instruction& trigger) { return cat("ONBUILD ", trim(trigger.original), ": "); }

solver::VertexId stage_root(BuildState& build, std::size_t index) {
  const StageInfo& info = build.table.stages()[index];
  if (!info.replaced_by) return build.states[index].root;
  return build.sources.add_root(*build.plan[index].base, context_step_name(*info.replaced_by), info.syntax->from.span);
}

StageLowering begin_stage(BuildState& build, const StageInfo& info) {
  StageLowering stage(build, info, start_of(build, info));
  const std::optional<ResolvedBase>& base = build.plan[info.index].base;
  if (base) {
    const Span& span = info.syntax->from.span;
    std::string name;
    if (info.replaced_by) {
      name = context_step_name(*base->context);
    } else if (base->context || !has_no_layers(base->config)) {
      name = stage.next_step(from_text(*base));
    }
    // A context in a stage's place is mostly copied from, file by file: it becomes a root only where one is
    // needed.
    Sources& sources = build.sources;
    stage.state.root = info.replaced_by ? sources.add(*base, name, span) : sources.add_root(*base, name, span);
  }
  load_config(stage.state);
  return stage;
}

}  // namespace cbuild::frontend
