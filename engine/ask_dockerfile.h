// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/inputs.h"
#include "engine/request/request.h"
#include "frontend/lower/check_report.h"
#include "frontend/lower/outline.h"

namespace cbuild::engine {

/// Questions that are answered instead of a build.
enum class DockerfileQuestion { check, outline, targets, describe };

/// The results of lowering a file as far as a question needs it.
struct DockerfileAnswer {
  frontend::CheckResult check;  ///< errors: why there is no answer, or those that the check found
  frontend::Outline outline;
  std::vector<frontend::TargetInfo> targets;
  std::vector<std::string> notes;    ///< of reading the inputs
  std::vector<Diagnostic> warnings;  ///< of the parser, not of the checks
};

/// What an answer may need besides the file.
struct QuestionServices {
  frontend::ImageResolver& images;
  ContextReader contexts;
};

/// Nothing runs: bases are asked for their manifests and a remote context is fetched. Throws Error for a request that
/// makes no sense or a machine that cannot.
DockerfileAnswer ask_dockerfile(const BuildRequest& request, DockerfileQuestion question,
                                const QuestionServices& services);

/// The answer for people, or as JSON.
std::string answer_text(const DockerfileAnswer& answer, DockerfileQuestion question, bool json);

}  // namespace cbuild::engine
