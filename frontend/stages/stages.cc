// SPDX-License-Identifier: Apache-2.0
// The table of stages: FROM lines expanded with global ARGs, names resolved to earlier stages or to contexts that
// replace them, and origins of copies and mounts. Stages may take from later ones, so cycles are looked for with a
// depth-first search that keeps its own stack: files may be generated and have any number of stages.
#include "frontend/stages/stages.h"

#include <algorithm>

#include "base/text.h"
#include "frontend/stages/check_from.h"
#include "frontend/stages/lower_diagnostic.h"
#include "frontend/syntax/parser_report.h"
#include "frontend/text/expand.h"

namespace cbuild::frontend {

namespace {

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  const std::optional<std::string> near = suggest(word, candidates);
  return near ? cat("did you mean ", *near, "?") : "";
}

std::string hint_for_unset(const std::vector<std::string>& unset, const Variables& globals) {
  for (const std::string& name : unset) {
    std::string hint = did_you_mean(name, globals.names());
    if (!hint.empty()) return hint;
  }
  return {};
}

oci::Platform expand_platform(const Text& flag, const Variables& globals, char escape) {
  const Expansion expanded =
      at(flag.span, [&] { return expand_word(flag.value, globals.environment(), {.escape = escape}); });
  const std::string hint = hint_for_unset(expanded.unset, globals);
  if (expanded.text.empty()) reject(flag.span, cat("empty platform value from expression ", flag.value), hint);
  const std::optional<oci::Platform> platform = oci::parse_platform(expanded.text);
  if (!platform) {
    reject(flag.span,
           cat("failed to parse platform ", flag.value, ": ", go_quote(expanded.text),
               ": unknown operating system or architecture: invalid argument"),
           hint);
  }
  return *platform;
}

std::string expand_base(const Text& image, const Variables& globals, char escape) {
  const Expansion expanded =
      at(image.span, [&] { return expand_word(image.value, globals.environment(), {.escape = escape}); });
  if (expanded.text.empty()) {
    reject(image.span, cat("base name (", image.value, ") should not be blank"),
           hint_for_unset(expanded.unset, globals));
  }
  return expanded.text;
}

/// Only stages with a name can be picked by --no-cache-filter; single instructions are looked at when they are lowered.
bool caches_nothing(const std::string& name, const LowerOptions& options) {
  if (options.no_cache) return true;
  return !name.empty() && std::any_of(options.no_cache_filter.begin(), options.no_cache_filter.end(),
                                      [&](const std::string& wanted) { return iequals(wanted, name); });
}

/// Fields of one CSV record (RFC 4180), as far as a quoted field may hold commas.
std::vector<std::string> csv_fields(std::string_view csv) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < csv.size(); ++i) {
    const char c = csv[i];
    if (c == '"' && quoted && i + 1 < csv.size() && csv[i + 1] == '"') {
      fields.back() += csv[++i];
    } else if (c == '"' && (quoted || fields.back().empty())) {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

/// That a stage takes from another, and the instruction that does.
struct Edge {
  std::size_t to;
  const Instruction* instruction;
};

/// Depth-first search for a way from a stage back to itself through its copies and mounts. With a stack of its own: a
/// file may have any number of stages.
class CycleSearch {
 public:
  explicit CycleSearch(std::vector<std::vector<Edge>> edges)
      : edges_(std::move(edges)), visited_(edges_.size()), on_path_(edges_.size()) {}

  /// The instruction that closes a cycle, nullptr if a search that begins here finds none. Stages that an earlier
  /// search has seen are not searched again.
  const Instruction* closing_from(std::size_t start) {
    if (!visited_[start]) enter(start);
    while (!path_.empty()) {
      Step& step = path_.back();
      if (step.next_edge == edges_[step.stage].size()) {
        on_path_[step.stage] = false;
        path_.pop_back();
        continue;
      }
      const Edge& edge = edges_[step.stage][step.next_edge++];
      if (on_path_[edge.to]) return edge.instruction;
      if (!visited_[edge.to]) enter(edge.to);
    }
    return nullptr;
  }

 private:
  struct Step {
    std::size_t stage, next_edge;
  };

  void enter(std::size_t stage) {
    visited_[stage] = on_path_[stage] = true;
    path_.push_back({stage, 0});
  }

  std::vector<std::vector<Edge>> edges_;
  std::vector<bool> visited_, on_path_;
  std::vector<Step> path_;
};

}  // namespace

StageTable::StageTable(const Dockerfile& dockerfile, const LowerOptions& options, const NamedContexts& contexts,
                       const Variables& globals, Checks& checks)
    : escape_(dockerfile.escape) {
  stages_.reserve(dockerfile.stages.size());
  std::vector<Diagnostic> errors;
  for (const Stage& stage : dockerfile.stages) {
    check_from_variables(dockerfile, stage, globals, checks);
    try {
      stages_.push_back(make_stage(stage, stages_.size(), options, contexts, globals));
    } catch (const DiagnosticError& e) {
      errors.insert(errors.end(), e.diagnostics().begin(), e.diagnostics().end());
      if (errors.size() >= Report::kMaxErrors) break;
      continue;
    }
    if (!stage.name.empty()) by_name_[stage.name] = stages_.size() - 1;
  }
  if (!errors.empty()) throw DiagnosticError(std::move(errors));
  check_cycles();
  if (stages_.size() == 1 && !uses_outside_stages()) stages_[0].display_name.clear();
}

StageInfo StageTable::make_stage(const Stage& stage, std::size_t index, const LowerOptions& options,
                                 const NamedContexts& contexts, const Variables& globals) const {
  const auto& from = std::get<FromInstruction>(stage.from.body);
  StageInfo out;
  out.syntax = &stage;
  out.index = index;
  out.display_name = stage.name.empty() ? cat("stage-", index) : stage.name;
  out.base = expand_base(from.image, globals, escape_);
  if (from.platform && !from.platform->value.empty()) out.platform = expand_platform(*from.platform, globals, escape_);
  out.ignore_cache = caches_nothing(stage.name, options);
  if (!stage.name.empty()) {
    const oci::Platform& platform = out.platform ? *out.platform : options.target_platform;
    out.replaced_by = at(stage.from.span, [&] { return contexts.find(stage.name, platform); });
  }
  const auto base = by_name_.find(out.base);
  if (base != by_name_.end() && !out.replaced_by) out.base_stage = base->second;
  return out;
}

std::optional<std::size_t> StageTable::find(std::string_view name) const {
  const auto found = by_name_.find(to_lower(name));
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

std::size_t StageTable::target(const std::string& name) const {
  if (name.empty()) return stages_.size() - 1;
  if (const std::optional<std::size_t> stage = find(name)) return *stage;
  reject({}, cat("target stage ", go_quote(name), " could not be found"), did_you_mean(name, names()));
}

std::vector<std::string> StageTable::names() const {
  std::vector<std::string> out;
  for (const StageInfo& stage : stages_) {
    const std::string& name = stage.display_name.empty() ? stage.syntax->name : stage.display_name;
    if (!name.empty()) out.push_back(name);
  }
  return out;
}

std::optional<Origin> StageTable::copy_origin(const CopyInstruction& copy) const {
  if (!copy.from || copy.from->value.empty()) return std::nullopt;
  const std::string& from = copy.from->value;
  const std::string expanded = at(copy.from->span, [&] {
    return expand_word(from, [](std::string_view) { return std::nullopt; }, {.escape = escape_}).text;
  });
  if (expanded != from) {
    reject(copy.from->span,
           "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
           "as a workaround");
  }
  if (const std::optional<std::int64_t> number = parse_int(from)) {
    if (*number < 0 || static_cast<std::size_t>(*number) >= stages_.size()) {
      reject(copy.from->span, cat("invalid stage index ", *number),
             cat("the file has ", stages_.size(), " stages, the first one is 0"));
    }
    return Origin{static_cast<std::size_t>(*number), {}};
  }
  return mount_origin(from);
}

Origin StageTable::mount_origin(const std::string& from) const {
  if (const std::optional<std::size_t> stage = find(from)) return {*stage, {}};
  return {std::nullopt, from};
}

std::vector<Origin> StageTable::origins(const Instruction& instruction) const {
  std::vector<Origin> out;
  if (const auto* copy = std::get_if<CopyInstruction>(&instruction.body)) {
    if (const std::optional<Origin> origin = copy_origin(*copy)) out.push_back(*origin);
  } else if (const auto* run = std::get_if<RunInstruction>(&instruction.body)) {
    for (const Text& mount : run->mounts) {
      const std::string from = at(mount.span, [&] { return mount_from(mount.value); });
      if (!from.empty()) out.push_back(mount_origin(from));
    }
  }
  return out;
}

void StageTable::check_cycles() const {
  std::vector<std::vector<Edge>> edges(stages_.size());
  for (const StageInfo& stage : stages_) {
    if (stage.replaced_by) continue;
    for (const Instruction& instruction : stage.syntax->instructions) {
      for (const Origin& origin : origins(instruction)) {
        if (origin.stage) edges[stage.index].push_back({*origin.stage, &instruction});
      }
    }
  }
  CycleSearch search(std::move(edges));
  for (const StageInfo& stage : stages_) {
    const Instruction* const closing = search.closing_from(stage.index);
    if (closing == nullptr) continue;
    reject(closing->span, cat("circular dependency detected on stage: ", stage.display_name),
           "the stage that it copies or mounts from needs this stage itself");
  }
}

/// BuildKit counts images, contexts and empty mounts as stages when it decides whether a single one
/// needs its name shown.
bool StageTable::uses_outside_stages() const {
  const auto outside = [this](const Instruction& instruction) {
    if (const auto* run = std::get_if<RunInstruction>(&instruction.body); run != nullptr && !run->mounts.empty()) {
      return true;
    }
    const std::vector<Origin> found = origins(instruction);
    return std::any_of(found.begin(), found.end(), [](const Origin& origin) { return !origin.stage; });
  };
  const std::vector<Instruction>& instructions = stages_[0].syntax->instructions;
  return std::any_of(instructions.begin(), instructions.end(), outside);
}

std::string mount_from(std::string_view csv) {
  std::string from;
  for (const std::string& field : csv_fields(csv)) {
    const std::size_t equals = field.find('=');
    if (equals == std::string::npos || to_lower(field.substr(0, equals)) != "from") continue;
    from = field.substr(equals + 1);
    const std::size_t dollar = from.find('$');
    if (dollar != std::string::npos && dollar + 1 != from.size()) {
      throw Error(ErrorCode::input, "'from' doesn't support variable expansion, define alias stage instead");
    }
  }
  return from;
}

}  // namespace cbuild::frontend
