// SPDX-License-Identifier: Apache-2.0
// Any text either has a tree or diagnostics; a tree prints to a text with an equal tree.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "frontend/syntax/directives.h"
#include "frontend/syntax/parser.h"
#include "frontend/text/lines.h"

namespace {

using namespace cbuild;
using namespace cbuild::frontend;

void check_span(const Span& span) {
  CBUILD_CHECK(span.source != nullptr);
  CBUILD_CHECK(span.begin <= span.end && span.end <= span.source->text().size());
}

/// Whether printing keeps the instruction on one line that can be read back.
bool is_printable(const Instruction& instruction, char escape) {
  const std::string& text = instruction.original;
  if (text.size() + 16 > LineReader::kMaxLine || strip_continuation(text, escape)) return false;
  const auto* onbuild = std::get_if<OnbuildInstruction>(&instruction.body);
  if (onbuild == nullptr) return true;
  return !strip_continuation(onbuild->trigger.value.substr(0, onbuild->trigger.value.find('\n')), escape);
}

bool check_instructions(const std::vector<Instruction>& instructions, char escape) {
  bool printable = true;
  for (const Instruction& instruction : instructions) {
    check_span(instruction.span);
    check_span(instruction.keyword.span);
    printable = printable && is_printable(instruction, escape);
  }
  return printable;
}

bool check_tree(const Dockerfile& file) {
  bool printable = check_instructions(file.global_args, file.escape);
  for (const Stage& stage : file.stages) {
    printable = check_instructions({stage.from}, file.escape) && printable;
    printable = check_instructions(stage.instructions, file.escape) && printable;
  }
  for (const Diagnostic& warning : file.warnings) check_span(warning.span);
  return printable;
}

void check_round_trip(const Dockerfile& file) {
  const std::string printed = print(file);
  const Dockerfile again = parse_dockerfile(std::make_shared<const SourceText>("printed", printed));
  CBUILD_CHECK(again == file);
  CBUILD_CHECK(print(again) == printed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto source = std::make_shared<const SourceText>("fuzz", text);
  detect_syntax(source);
  try {
    const Dockerfile file = parse_dockerfile(source);
    CBUILD_CHECK(!dump(file).empty());
    if (check_tree(file)) check_round_trip(file);
  } catch (const DiagnosticError& error) {
    CBUILD_CHECK(!error.diagnostics().empty());
    for (const Diagnostic& diagnostic : error.diagnostics()) check_span(diagnostic.span);
  }
  try {
    check_span(parse_trigger(text, "base").span);
  } catch (const DiagnosticError& error) {
    CBUILD_CHECK(!error.diagnostics().empty());
  }
  return 0;
}
