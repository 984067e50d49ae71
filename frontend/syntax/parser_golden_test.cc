// SPDX-License-Identifier: Apache-2.0
// testdata/parser/NAME.Dockerfile belongs to NAME.tree, the dump of its tree, or NAME.error, the diagnostics about it.
// CBUILD_UPDATE_GOLDEN=1 writes these files instead of comparing, to be read before they are committed.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/text.h"
#include "frontend/syntax/parser.h"

namespace cbuild::frontend {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<fs::path> cases() {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(fs::path(CBUILD_TESTDATA) / "parser")) {
    if (entry.path().extension() == ".Dockerfile") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// "line:column: message", the text it is about, and the hint.
std::string describe(const Diagnostic& diagnostic) {
  const Span& span = diagnostic.span;
  const auto place = span.source->position(span.begin);
  std::string out = cat(place.line, ':', place.column, ": ", diagnostic.message, '\n');
  const std::string text = span.source->text().substr(span.begin, span.end - span.begin);
  if (!text.empty()) out += cat("  at ", go_quote(text), '\n');
  if (!diagnostic.hint.empty()) out += cat("  hint: ", diagnostic.hint, '\n');
  return out;
}

struct Outcome {
  bool ok = false;
  std::string text;
};

Outcome outcome(const fs::path& path) {
  const auto source = std::make_shared<const SourceText>(path.filename(), read_file(path));
  try {
    return {true, dump(parse_dockerfile(source))};
  } catch (const DiagnosticError& error) {
    std::string text;
    for (const Diagnostic& diagnostic : error.diagnostics()) text += describe(diagnostic);
    return {false, text};
  }
}

TEST_CASE("golden files") {
  const bool update = std::getenv("CBUILD_UPDATE_GOLDEN") != nullptr;
  const auto paths = cases();
  CHECK(paths.size() >= 20);
  for (const fs::path& path : paths) {
    CAPTURE(path.filename().string());
    const Outcome result = outcome(path);
    const fs::path golden = fs::path(path).replace_extension(result.ok ? ".tree" : ".error");
    if (update) {
      std::ofstream(golden, std::ios::binary) << result.text;
      continue;
    }
    REQUIRE(fs::exists(golden));
    CHECK(result.text == read_file(golden));
  }
}

TEST_CASE("a printed file parses to an equal tree") {
  for (const fs::path& path : cases()) {
    if (!fs::exists(fs::path(path).replace_extension(".tree"))) continue;
    CAPTURE(path.filename().string());
    const auto source = std::make_shared<const SourceText>("a", read_file(path));
    const Dockerfile file = parse_dockerfile(source);
    const std::string printed = print(file);
    const Dockerfile again = parse_dockerfile(std::make_shared<const SourceText>("b", printed));
    CHECK(again == file);
    CHECK(print(again) == printed);
  }
}

}  // namespace
}  // namespace cbuild::frontend
