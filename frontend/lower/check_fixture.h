// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "frontend/lower/lower_fixture.h"

/// Shared by the tests of build checks: a file in, its findings out, one line each.
namespace cbuild::frontend::testing {

using Strings = std::vector<std::string>;

struct Lint {
  Build build;
  Strings warnings;
  std::string error;  ///< the first error's message

  explicit Lint(const std::string& text, const std::map<std::string, std::string>& build_args = {}) {
    build.options.build_args = build_args;
    run(text);
  }
  Lint(const std::string& text, Build prepared) : build(std::move(prepared)) { run(text); }

 private:
  void run(const std::string& text) {
    const auto option = build.options.build_args.find("BUILDKIT_DOCKERFILE_CHECK");
    Checks checks;
    if (option != build.options.build_args.end()) checks = Checks(parse_check_options(option->second));
    build.options.reports.checks = &checks;
    try {
      const auto source = std::make_shared<const SourceText>("Dockerfile", text);
      lower(parse_dockerfile(source, {.checks = &checks}), build.options, build.images);
    } catch (const DiagnosticError& e) {
      error = e.what();
    }
    for (const Diagnostic& finding : checks.findings()) warnings.push_back(finding_line(finding));
  }
};

inline Strings lint(const std::string& text) {
  const Lint result(text);
  CHECK(result.error.empty());
  return result.warnings;
}

inline Strings lint_all_stages(const std::string& text) {
  Build build;
  build.options.all_stages = true;
  return Lint(text, build).warnings;
}

inline Build ignoring(const Strings& patterns) {
  Build build;
  build.options.context_ignore = patterns;
  return build;
}

}  // namespace cbuild::frontend::testing
