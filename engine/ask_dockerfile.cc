// SPDX-License-Identifier: Apache-2.0
// Lowers the Dockerfile as far as the question needs; nothing runs. Remote sources of ADD get placeholders, as their
// content changes no answer.
#include "engine/ask_dockerfile.h"

#include <algorithm>
#include <optional>

#include "base/digest.h"
#include "base/error.h"
#include "frontend/lower/outline_report.h"
#include "frontend/syntax/parser.h"

namespace cbuild::engine {
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

using Question = DockerfileQuestion;

void lower_for_answer(const BuildRequest& request, Question question, const BuildInputs& inputs,
                      const frontend::Dockerfile& dockerfile, frontend::ImageResolver& images, frontend::Checks& checks,
                      DockerfileAnswer& answer) {
  frontend::LowerOptions options = lower_options(request, inputs);
  UnaskedSources sources;
  options.callbacks.pinner = &sources;
  options.dry = true;
  options.reports.checks = &checks;
  options.all_stages = question == Question::check;
  options.reports.outline = &answer.outline;
  frontend::lower_targets(dockerfile, options, request.inputs.targets, images);
}

/// Files that were included before the parse failed.
void add_sources(const std::vector<Diagnostic>& diagnostics, std::vector<std::shared_ptr<const SourceText>>& sources) {
  for (const Diagnostic& diagnostic : diagnostics) {
    const auto& source = diagnostic.span.source;
    if (source && std::find(sources.begin(), sources.end(), source) == sources.end()) sources.push_back(source);
  }
}

/// Whether an error is about the file: then it belongs to the answer.
bool is_of_file(const Error& error) {
  switch (error.code()) {
    case ErrorCode::usage:
    case ErrorCode::unsupported:
    case ErrorCode::internal:
    case ErrorCode::cancelled:
      return false;
    default:
      return true;
  }
}

}  // namespace

DockerfileAnswer ask_dockerfile(const BuildRequest& request, Question question, const QuestionServices& services) {
  DockerfileAnswer answer;
  if (question == Question::describe) return answer;
  if (question == Question::outline && request.inputs.targets.size() > 1)
    throw Error(ErrorCode::usage, "--call=outline: an outline is of one target").with_hint("give one --target");
  const BuildInputs inputs = read_inputs(request.inputs, request.sources.policy.get(), services.contexts);
  answer.notes = inputs.notes;
  frontend::Checks checks = make_checks(request.inputs);
  answer.check.sources = {inputs.dockerfile};
  answer.check.parse_failed = true;
  try {
    const frontend::Dockerfile dockerfile =
        frontend::parse_dockerfile(inputs.dockerfile, parse_options(inputs, checks));
    answer.check.parse_failed = false;
    answer.check.sources = dockerfile.sources;
    answer.warnings = dockerfile.warnings;
    answer.targets = frontend::list_targets(dockerfile);
    if (question != Question::targets)
      lower_for_answer(request, question, inputs, dockerfile, services.images, checks, answer);
  } catch (const DiagnosticError& error) {
    answer.check.errors = error.diagnostics();
  } catch (const Error& error) {
    if (!is_of_file(error)) throw;
    answer.check.errors.push_back({Severity::error, {}, error.what(), error.hint(), {}});
  }
  answer.check.warnings = checks.findings();
  add_sources(answer.check.errors, answer.check.sources);
  add_sources(answer.check.warnings, answer.check.sources);
  return answer;
}

std::string answer_text(const DockerfileAnswer& answer, Question question, bool json) {
  const auto& sources = answer.check.sources;
  switch (question) {
    case Question::check:
      return json ? check_json(answer.check) : check_text(answer.check);
    case Question::outline:
      return json ? outline_json(answer.outline, sources) : outline_text(answer.outline);
    case Question::targets:
      return json ? targets_json(answer.targets, sources) : targets_text(answer.targets);
    case Question::describe:
      return json ? frontend::requests_json() : frontend::requests_text();
  }
  CBUILD_CHECK(false);
}

}  // namespace cbuild::engine
