// SPDX-License-Identifier: Apache-2.0
#include "cli/explain_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/flags/flags.h"
#include "cli/report/exit_codes.h"
#include "cli/report/history.h"
#include "cli/report/history_export.h"
#include "cli/report/use_text.h"
#include "engine/session.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ExplainLine {
  std::string step, build;
  bool json = false, misses = false;
};

std::string state_text(const engine::StepEntry& step) {
  const std::string use = use_text(step.use), used = use.empty() ? "" : cat(" (", use, ")");
  if (step.state == "ran") return cat("ran in ", format_seconds(step.duration_ns), used);
  if (step.state == "failed") return cat("failed after ", format_seconds(step.duration_ns), used);
  return step.state;
}

void print_step(const engine::StepEntry& step, unsigned number) {
  std::cout << '#' << number << ' ' << sanitize_for_terminal(step.name) << ": " << state_text(step) << '\n';
  if (step.reason.differences.empty()) {
    std::cout << "    " << sanitize_for_terminal(why(step)) << '\n';
    return;
  }
  for (const solver::Difference& difference : step.reason.differences)
    std::cout << "    " << sanitize_for_terminal(difference.text) << '\n';
}

/// The parts of the key, for one step that was asked for.
void print_parts(cache::Store& store, const engine::StepEntry& step) {
  const Json parts = key_parts(store, step);
  if (parts.empty()) return;
  std::cout << "    its key is made of:\n";
  for (const Json& part : parts) {
    const std::string value =
        part.contains("value") ? part["value"].get<std::string>() : std::string("(value not shown)");
    std::cout << "      " << sanitize_for_terminal(part["label"].get<std::string>()) << "  "
              << sanitize_for_terminal(value) << '\n';
  }
}

Json step_json(cache::Store& store, const engine::StepEntry& step, bool with_parts) {
  Json out{{"id", step.id}, {"name", step.name}, {"state", step.state}, {"duration_ns", step.duration_ns}};
  if (step.use != ResourceUse{}) out["use"] = use_json(step.use);
  if (step.line != 0) out["line"] = step.line;
  if (!step.stage.empty()) out["stage"] = step.stage;
  if (!step.found_by.empty()) out["found_by"] = step.found_by;
  out["why"] = why(step);
  if (step.reason.kind != solver::Reason::Kind::none) out["reason"] = engine::to_json(step.reason);
  if (with_parts) out["key_parts"] = key_parts(store, step);
  return out;
}

bool is_asked(const ExplainLine& line, const engine::StepEntry& step) {
  return !line.misses || (step.state != "cached" && step.state != "not-needed");
}

void print_text(cache::Store& store, const ExplainLine& line, const engine::BuildEntry& build,
                const std::vector<const engine::StepEntry*>& steps) {
  std::cout << sanitize_for_terminal(headline(build)) << '\n';
  if (!build.error.empty()) std::cout << "ended with: " << sanitize_for_terminal(build.error) << '\n';
  const auto all = shown_steps(build);
  for (const engine::StepEntry* step : steps) {
    if (!is_asked(line, *step)) continue;
    const auto number = static_cast<unsigned>(std::find(all.begin(), all.end(), step) - all.begin()) + 1;
    print_step(*step, number);
    if (!line.step.empty() && steps.size() == 1) print_parts(store, *step);
  }
}

}  // namespace

int explain_command(Arguments arguments) {
  ExplainLine line;
  std::string root;
  CLI::App app{"Why the steps of a build ran, or were taken from the cache", "cbuild explain"};
  app.add_option("STEP", line.step,
                 "Number, stage, :LINE of the Dockerfile, or a part of the name (default: all steps)");
  app.add_option("--build", line.build, "Id or its beginning, or ^N: N builds before the last (default: the last one)");
  app.add_flag("--misses", line.misses, "Only steps that were not cached");
  app.add_flag("--json", line.json, "Print JSON");
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  const engine::Session session = engine::start_session(root);
  cache::Store store(engine::store_options(session));
  const engine::BuildEntry build = find_build(store, line.build);
  const auto steps = line.step.empty() ? shown_steps(build) : find_steps(build, line.step);
  if (!line.json) {
    print_text(store, line, build, steps);
    return exit_code::kSuccess;
  }
  Json out{{"build", build.id}, {"name", build.name}, {"status", build.status}, {"steps", Json::array()}};
  for (const engine::StepEntry* step : steps)
    if (is_asked(line, *step)) out["steps"].push_back(step_json(store, *step, !line.step.empty()));
  std::cout << out.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
