// SPDX-License-Identifier: Apache-2.0
// --call: lowers the Dockerfile as far as the question needs and prints the answer; nothing runs. Bases are asked for
// their manifests and a remote context is fetched, because the files are in it; remote sources of ADD get placeholders,
// as their content changes no answer.
#include "cli/call.h"

#include <algorithm>
#include <iostream>
#include <optional>

#include "base/digest.h"
#include "base/error.h"
#include "cli/input_services.h"
#include "cli/report/error_text.h"
#include "cli/report/exit_codes.h"
#include "engine/inputs.h"
#include "frontend/lower/check_report.h"
#include "frontend/lower/outline_report.h"
#include "frontend/syntax/parser.h"

namespace cbuild::cli {
namespace {

/// Placeholders: remote sources of a file that is not built are not asked.
class UnaskedSources final : public frontend::SourcePinner {
 public:
  frontend::PinnedFile pin_url(const std::string&, const Digest& expected) override {
    return {expected.empty() ? sha256("") : expected, std::nullopt};
  }
  frontend::PinnedCommit pin_git(const std::string&, const std::string&) override {
    return {std::string(40, '0'), {}, {}};
  }
  std::optional<std::int64_t> source_time(const solver::Op&) override { return std::nullopt; }
};

/// The results of lowering a file as far as a call needs it.
struct Answer {
  frontend::CheckResult check;
  frontend::Outline outline;
  std::vector<frontend::TargetInfo> targets;
};

using Question = CallOptions::Question;

void lower(const BuildLine& line, const engine::BuildInputs& inputs, const frontend::Dockerfile& dockerfile,
           frontend::ImageResolver& images, frontend::Checks& checks, Answer& answer) {
  frontend::LowerOptions options = engine::lower_options(line.request, inputs);
  UnaskedSources sources;
  options.callbacks.pinner = &sources;
  options.dry = true;
  options.reports.checks = &checks;
  options.all_stages = line.call->question == Question::check;
  options.reports.outline = &answer.outline;
  frontend::lower_targets(dockerfile, options, line.request.inputs.targets, images);
}

/// Files that were included before the parse failed.
void add_sources(const std::vector<Diagnostic>& diagnostics, std::vector<std::shared_ptr<const SourceText>>& sources) {
  for (const Diagnostic& diagnostic : diagnostics) {
    const auto& source = diagnostic.span.source;
    if (source && std::find(sources.begin(), sources.end(), source) == sources.end()) sources.push_back(source);
  }
}

Answer ask(const BuildLine& line) {
  if (line.call->question == Question::outline && line.request.inputs.targets.size() > 1)
    throw Error(ErrorCode::usage, "--call=outline: an outline is of one target").with_hint("give one --target");
  Answer answer;
  InputServices services(line);
  const engine::BuildInputs inputs =
      engine::read_inputs(line.request.inputs, line.request.sources.policy.get(),
                          [&]() -> engine::RemoteContexts& { return services.all().contexts; });
  for (const std::string& note : inputs.notes) std::cerr << "note: " << note << '\n';
  frontend::Checks checks = engine::make_checks(line.request.inputs);
  answer.check.sources = {inputs.dockerfile};
  answer.check.parse_failed = true;
  try {
    const frontend::Dockerfile dockerfile =
        frontend::parse_dockerfile(inputs.dockerfile, engine::parse_options(inputs, checks));
    answer.check.parse_failed = false;
    answer.check.sources = dockerfile.sources;
    for (const Diagnostic& warning : dockerfile.warnings) std::cerr << render(warning);
    answer.targets = frontend::list_targets(dockerfile);
    if (line.call->question != Question::targets) lower(line, inputs, dockerfile, services.images(), checks, answer);
  } catch (const DiagnosticError& error) {
    answer.check.errors = error.diagnostics();
  } catch (const Error& error) {
    if (exit_code_of(error) != exit_code::kBuildFailed) throw;
    answer.check.errors.push_back({Severity::error, {}, error.what(), error.hint(), {}});
  }
  answer.check.warnings = checks.findings();
  add_sources(answer.check.errors, answer.check.sources);
  add_sources(answer.check.warnings, answer.check.sources);
  return answer;
}

std::string answer_text(const Answer& answer, const CallOptions& call) {
  const auto& sources = answer.check.sources;
  switch (call.question) {
    case Question::check:
      return call.json ? check_json(answer.check) : check_text(answer.check);
    case Question::outline:
      return call.json ? outline_json(answer.outline, sources) : outline_text(answer.outline);
    case Question::targets:
      return call.json ? targets_json(answer.targets, sources) : targets_text(answer.targets);
    case Question::describe:
      return call.json ? frontend::requests_json() : frontend::requests_text();
  }
  CBUILD_CHECK(false);
}

}  // namespace

int run_call(const BuildLine& line) {
  const CallOptions& call = *line.call;
  const Answer answer = call.question == Question::describe ? Answer{} : ask(line);
  const bool failed = !answer.check.errors.empty();
  if (!failed || call.question == Question::check) std::cout << answer_text(answer, call) << std::flush;
  for (const Diagnostic& error : answer.check.errors) std::cerr << render(error);
  if (failed) return exit_code::kBuildFailed;
  const bool warned = call.question == Question::check && !answer.check.warnings.empty();
  return warned && !call.ignore_status ? exit_code::kBuildFailed : exit_code::kSuccess;
}

}  // namespace cbuild::cli
