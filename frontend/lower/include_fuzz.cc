// SPDX-License-Identifier: Apache-2.0
// The input is files between NUL bytes: the Dockerfile, then the files of "INCLUDE 1", "INCLUDE 2" ... The first one
// has INCLUDE turned on.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "base/text.h"
#include "frontend/lower/check_report.h"
#include "frontend/lower/outline_report.h"
#include "frontend/syntax/parser.h"

namespace {

using namespace cbuild;

void check_diagnostics(const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics) {
    const Span& span = diagnostic.span;
    if (span) CBUILD_CHECK(span.begin <= span.end && span.end <= span.source->text().size());
    CBUILD_CHECK(!render(diagnostic).empty());
  }
}

void check_options(const std::string& text) {
  try {
    const frontend::CheckOptions options = frontend::parse_check_options(text);
    CBUILD_CHECK(frontend::parse_check_options(" " + text + " ") == options);
    frontend::CheckOptions merged = options;
    merged.merge_comments({"check=" + text});
    for (const frontend::CheckRule& rule : frontend::check_rules())
      if (!rule.experimental && !options.allows(rule)) CBUILD_CHECK(!merged.allows(rule));
  } catch (const Error& error) {
    CBUILD_CHECK(error.code() == ErrorCode::input);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::string> files = split(std::string_view(reinterpret_cast<const char*>(data), size), '\0');
  check_options(files[0]);
  frontend::Checks checks;
  frontend::ParseOptions options{.include = [&](const std::string& path) -> std::optional<std::string> {
                                   const auto number = parse_int(path);
                                   if (!number || *number < 0 || *number >= static_cast<std::int64_t>(files.size()))
                                     return std::nullopt;
                                   return files[static_cast<std::size_t>(*number)];
                                 },
                                 .checks = &checks};
  try {
    const auto source = std::make_shared<const SourceText>("fuzz", "# cbuild=include\n" + files[0]);
    const frontend::Dockerfile file = frontend::parse_dockerfile(source, options);
    CBUILD_CHECK(file.sources.front() == source);
    check_diagnostics(file.warnings);
    frontend::check_json({checks.findings(), {}, file.sources});
    frontend::targets_json(frontend::list_targets(file), file.sources);
  } catch (const DiagnosticError& error) {
    CBUILD_CHECK(!error.diagnostics().empty());
    check_diagnostics(error.diagnostics());
  }
  check_diagnostics(checks.findings());
  return 0;
}
