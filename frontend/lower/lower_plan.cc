// SPDX-License-Identifier: Apache-2.0
// Finds the stages that a target needs, before any of them is lowered: through FROM, COPY --from, RUN --mount=from= and
// the ONBUILD triggers of bases, which may name stages, too. So bases are resolved here, and those of stages that
// nothing needs are never asked for.
#include "frontend/lower/lower_plan.h"

#include "base/text.h"
#include "frontend/lower/check_stage.h"
#include "frontend/lower/lower_validate.h"
#include "frontend/stages/lower_diagnostic.h"
#include "frontend/syntax/parser.h"

namespace cbuild::frontend {

namespace {

/// A worklist over stages: each is looked at once, however it was found.
class Planner {
 public:
  Planner(const StageTable& table, Sources& sources, Checks& checks)
      : table_(table), sources_(sources), checks_(checks), plan_(table.stages().size()) {}

  std::vector<PlannedStage> run(const std::vector<std::size_t>& targets) {
    for (const std::size_t target : targets) {
      reach(target);
      ++plan_[target].dependents;
    }
    while (!open_.empty()) {
      const std::size_t next = open_.back();
      open_.pop_back();
      visit(table_.stages()[next]);
    }
    return std::move(plan_);
  }

 private:
  void reach(std::size_t stage) {
    if (plan_[stage].reached) return;
    plan_[stage].reached = true;
    open_.push_back(stage);
  }

  void reach_origins(const Instruction& instruction) {
    for (const Origin& origin : table_.origins(instruction)) {
      if (origin.stage) reach(*origin.stage);
    }
  }

  void resolve_base(const StageInfo& info, PlannedStage& plan);
  std::vector<std::string> trigger_texts(const StageInfo& info, const PlannedStage& plan) const;
  void parse_triggers(const StageInfo& info, PlannedStage& plan);
  void visit(const StageInfo& info);

  const StageTable& table_;
  Sources& sources_;
  Checks& checks_;
  std::vector<PlannedStage> plan_;
  std::vector<std::size_t> open_;
};

void Planner::resolve_base(const StageInfo& info, PlannedStage& plan) {
  const Span& span = info.syntax->from.span;
  if (info.replaced_by) {
    plan.base = sources_.resolve_context(*info.replaced_by, info.platform, span);
    if (plan.base->image) plan.base->platform = plan.base->config.platform;
  } else if (!info.base_stage && !info.from_scratch()) {
    plan.base = sources_.resolve(info.base, info.platform, span, table_);
    check_base_platform(info.syntax->from, span, info.base, *plan.base, checks_);
  }
}

/// A stage passes on the triggers of its own instructions; those of its base were for itself.
std::vector<std::string> Planner::trigger_texts(const StageInfo& info, const PlannedStage& plan) const {
  if (!info.base_stage) return plan.base ? plan.base->config.config.on_build : std::vector<std::string>{};
  const StageInfo& base = table_.stages()[*info.base_stage];
  std::vector<std::string> out;
  if (base.replaced_by) return out;
  for (const Instruction& instruction : base.syntax->instructions) {
    if (const auto* onbuild = std::get_if<OnbuildInstruction>(&instruction.body)) out.push_back(onbuild->trigger.value);
  }
  return out;
}

void Planner::parse_triggers(const StageInfo& info, PlannedStage& plan) {
  const Span& span = info.syntax->from.span;
  for (const std::string& text : trigger_texts(info, plan)) {
    const auto parse = [&] { return at(span, [&] { return parse_trigger(text, info.base); }); };
    plan.triggers.push_back(relocate_errors(span, cat("ONBUILD ", text, ": "), parse));
    const Instruction& trigger = plan.triggers.back();
    relocate_errors(span, trigger_prefix(trigger), [&] { validate_instruction(trigger); });
  }
}

void Planner::visit(const StageInfo& info) {
  PlannedStage& plan = plan_[info.index];
  resolve_base(info, plan);
  if (info.replaced_by) return;
  if (info.base_stage) {
    reach(*info.base_stage);
    ++plan_[*info.base_stage].dependents;
  }
  parse_triggers(info, plan);
  for (const Instruction& trigger : plan.triggers) {
    relocate_errors(info.syntax->from.span, trigger_prefix(trigger), [&] { reach_origins(trigger); });
  }
  for (const Instruction& instruction : info.syntax->instructions) reach_origins(instruction);
}

}  // namespace

std::vector<PlannedStage> plan_stages(const StageTable& table, const std::vector<std::size_t>& targets,
                                      Sources& sources, Checks& checks) {
  return Planner(table, sources, checks).run(targets);
}

std::vector<std::string> trigger_notes(const std::vector<std::size_t>& triggers) {
  std::vector<std::string> out;
  for (const std::size_t count : triggers) {
    if (count > 0) out.push_back(cat("# Executing ", count, " build trigger", count == 1 ? "" : "s"));
  }
  return out;
}

}  // namespace cbuild::frontend
