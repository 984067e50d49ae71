// SPDX-License-Identifier: Apache-2.0
#include "cli/report/history.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cli/report/text_output.h"
#include "solver/graph/step_identity.h"

namespace cbuild::cli {
namespace {

constexpr unsigned kAll = 1000;

[[noreturn]] void no_build(const std::string& reference, const std::vector<cache::Store::BuildSummary>& builds) {
  Error error(ErrorCode::usage, cat("no build '", reference, "' in the history"));
  if (builds.empty()) throw error.with_hint("nothing was built on this store yet");
  throw error.with_hint(
      cat("the last one is ", builds[0].id, "; cbuild history lists them, ^1 is the one before the last"));
}

}  // namespace

engine::BuildEntry find_build(cache::Store& store, const std::string& reference) {
  const std::vector<cache::Store::BuildSummary> builds = store.builds(kAll);
  if (reference.empty() || reference.starts_with('^')) {
    const auto back =
        reference.size() < 2 ? std::optional<std::int64_t>(reference.empty() ? 0 : 1) : parse_int(reference.substr(1));
    if (!back || *back < 0 || static_cast<std::size_t>(*back) >= builds.size())
      no_build(reference.empty() ? "^0" : reference, builds);
    return engine::from_summary(builds[static_cast<std::size_t>(*back)]);
  }
  std::vector<const cache::Store::BuildSummary*> found;
  for (const cache::Store::BuildSummary& build : builds) {
    if (build.id == reference) return engine::from_summary(build);
    if (build.id.starts_with(reference)) found.push_back(&build);
  }
  if (found.size() > 1) throw Error(ErrorCode::usage, cat("several builds begin with '", reference, "'"));
  if (found.empty()) no_build(reference, builds);
  return engine::from_summary(*found[0]);
}

std::vector<const engine::StepEntry*> shown_steps(const engine::BuildEntry& build) {
  std::vector<const engine::StepEntry*> out;
  for (const engine::StepEntry& step : build.steps)
    if (step.type != "local") out.push_back(&step);
  return out;
}

std::vector<const engine::StepEntry*> find_steps(const engine::BuildEntry& build, const std::string& text) {
  const std::vector<const engine::StepEntry*> all = shown_steps(build);
  if (const auto number = parse_int(text)) {
    if (*number >= 1 && static_cast<std::size_t>(*number) <= all.size())
      return {all[static_cast<std::size_t>(*number) - 1]};
    throw Error(ErrorCode::usage, cat("no step ", text, ": the build has ", all.size(), " steps"));
  }
  std::vector<const engine::StepEntry*> found;
  const auto line = text.starts_with(':') ? parse_int(text.substr(1)) : std::nullopt;
  const auto pick = [&](auto matches) {
    if (found.empty()) std::copy_if(all.begin(), all.end(), std::back_inserter(found), matches);
  };
  if (line) pick([&](const engine::StepEntry* step) { return std::int64_t{step->line} == *line; });
  pick([&](const engine::StepEntry* step) { return !step->stage.empty() && iequals(step->stage, text); });
  pick([&](const engine::StepEntry* step) { return to_lower(step->name).find(to_lower(text)) != std::string::npos; });
  if (!found.empty()) return found;
  Error error(ErrorCode::usage, cat("no step '", text, "' in build ", build.id));
  std::vector<std::string> names;
  for (const engine::StepEntry* step : all) names.emplace_back(solver::without_position(step->name));
  if (const auto near = suggest(text, names)) throw error.with_hint(cat("did you mean ", *near, "?"));
  if (all.empty()) throw error.with_hint("that build had no steps");
  throw error.with_hint(cat("a number from 1 to ", all.size(), ", a stage, :LINE, or a part of a name"));
}

std::string headline(const engine::BuildEntry& build) {
  return cat(build.name, " (build ", build.id, ", ", build.status, ", ", format_ago(build.started_ns),
             "): ", build.steps_cached, " of ", build.steps_total, " steps cached");
}

}  // namespace cbuild::cli
