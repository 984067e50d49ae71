// SPDX-License-Identifier: Apache-2.0
// The lines come in order; each becomes a statement, its heredoc bodies are read behind it, and the builder of its
// keyword makes the instruction. A mistake in one instruction is reported and reading goes on with the next line.
#include "frontend/syntax/parser.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "frontend/syntax/check_syntax.h"
#include "frontend/syntax/directives.h"
#include "frontend/syntax/heredoc.h"
#include "frontend/syntax/parser_build.h"
#include "frontend/syntax/parser_include.h"
#include "frontend/syntax/parser_report.h"
#include "frontend/syntax/parser_statement.h"
#include "frontend/text/json_form.h"
#include "frontend/text/lines.h"

namespace cbuild::frontend {
namespace {

class InstructionReader {
 public:
  InstructionReader(std::shared_ptr<const SourceText> source, const DirectiveBlock& block, Report& report,
                    Checks& checks)
      : source_(std::move(source)),
        escape_(block.escape),
        includes_(block.includes),
        lines_(source_->text(), block.end, block.escape),
        report_(report),
        checks_(checks) {}

  /// The next instruction, whether or not it is well-formed.
  std::optional<Instruction> next();
  /// The path, if that instruction is an INCLUDE.
  const std::optional<Text>& include() const { return include_; }
  /// Reports a line that ended the reading early. To be called once, at the end.
  void finish();

 private:
  InstructionBody build(Statement& statement, Instruction& instruction);
  bool takes_heredocs(const Statement& statement, bool in_trigger = false) const;
  void read_heredocs(Statement& statement, Instruction& instruction);
  void read_body(HeredocOnLine& announced, const Statement& statement, Instruction& instruction);

  std::shared_ptr<const SourceText> source_;
  char escape_;
  bool includes_;
  LineReader lines_;
  Report& report_;
  Checks& checks_;
  LogicalLine line_;
  std::optional<Text> include_;
};

std::optional<Instruction> InstructionReader::next() {
  include_.reset();
  if (!lines_.next(line_)) return std::nullopt;
  Statement statement = split_statement(source_, line_, {0, line_.text.size()}, escape_);
  Instruction instruction;
  instruction.keyword = statement.text(statement.keyword);
  instruction.original = statement.view({statement.keyword.begin, statement.rest.end});
  instruction.span = {source_, line_.begin, line_.end};
  instruction.body = build(statement, instruction);
  instruction.flags = std::move(statement.flags);
  instruction.comment = std::move(line_.comment);
  if (line_.empty_continuation) {
    checks_.report(Check::no_empty_continuation, {source_, line_.last_line, line_.end}, instruction.comment,
                   "Empty continuation line");
  }
  check_syntax(instruction, checks_);
  return instruction;
}

InstructionBody InstructionReader::build(Statement& statement, Instruction& instruction) {
  const InstructionKind* kind = find_instruction(statement.view(statement.keyword));
  if (kind == nullptr) {
    if (includes_ && iequals(statement.view(statement.keyword), "INCLUDE")) {
      include_ = read_include(statement, report_);
    } else {
      report_unknown_instruction(statement, report_);
    }
    return {};
  }
  if (takes_heredocs(statement)) read_heredocs(statement, instruction);
  return kind->build(statement, report_);
}

/// A trigger may take them; a second ONBUILD is refused anyway.
bool InstructionReader::takes_heredocs(const Statement& statement, bool in_trigger) const {
  if (statement.line->text.find("<<") == std::string::npos) return false;
  const InstructionKind* kind = find_instruction(statement.view(statement.keyword));
  if (kind != nullptr && kind->name == "ONBUILD") {
    return !in_trigger && statement.rest.begin < statement.rest.end &&
           takes_heredocs(split_statement(source_, *statement.line, statement.rest, escape_), true);
  }
  if (kind == nullptr || !kind->heredocs) return false;
  try {
    return !parse_json_form(statement.view(statement.rest));
  } catch (const Error&) {
    return false;
  }
}

void InstructionReader::read_heredocs(Statement& statement, Instruction& instruction) {
  try {
    for (HeredocOnLine& announced : find_heredocs(line_.text)) {
      read_body(announced, statement, instruction);
      statement.heredocs.push_back(std::move(announced.heredoc));
    }
  } catch (const Error& error) {
    report_.malformed(statement.arguments_span(), error.what());
  }
}

void InstructionReader::read_body(HeredocOnLine& announced, const Statement& statement, Instruction& instruction) {
  Heredoc& heredoc = announced.heredoc;
  heredoc.name.span = statement.span(announced.word);
  LineReader::Body body = lines_.read_body(heredoc.name.value, heredoc.strip_tabs);
  heredoc.span = {source_, body.begin, body.end};
  if (!instruction.bodies) instruction.bodies = {source_, body.begin, body.end};
  instruction.bodies.end = body.end;
  instruction.span.end = std::max(instruction.span.end, body.end);
  if (heredoc.strip_tabs) {
    heredoc.body = strip_leading_tabs(body.text);
    heredoc.raw_body = std::move(body.text);
  } else {
    heredoc.body = std::move(body.text);
  }
  if (body.terminated || lines_.too_long()) return;
  std::string hint = cat("end it with a line that is exactly ", go_quote(heredoc.name.value));
  if (body.near_miss) hint += cat("; line ", source_->position(*body.near_miss).line, " has blanks around it");
  report_.malformed(heredoc.name.span, "unterminated heredoc", std::move(hint));
}

void InstructionReader::finish() {
  if (!lines_.too_long()) return;
  const std::size_t begin = *lines_.too_long();
  report_.malformed({source_, begin, begin},
                    cat("dockerfile line greater than max allowed size of ", LineReader::kMaxLine),
                    "break the line up with continuations, or copy the data from a file");
}

/// Sorts instructions into global arguments and stages.
class Assembler {
 public:
  Assembler(Dockerfile& dockerfile, Report& report) : dockerfile_(dockerfile), report_(report) {}

  void add(Instruction instruction) {
    if (std::holds_alternative<FromInstruction>(instruction.body) && is_from(instruction)) {
      dockerfile_.stages.push_back(make_stage(std::move(instruction)));
    } else if (!dockerfile_.stages.empty()) {
      dockerfile_.stages.back().instructions.push_back(std::move(instruction));
    } else if (std::holds_alternative<ArgInstruction>(instruction.body)) {
      dockerfile_.global_args.push_back(std::move(instruction));
    } else if (!std::exchange(complained_, true) && find_instruction(instruction.keyword.value) != nullptr) {
      report_.malformed(instruction.keyword.span, "no build stage in current context",
                        "the first instruction other than ARG has to be FROM");
    }
  }

 private:
  /// An unknown instruction has the first body of the variant, too.
  static bool is_from(const Instruction& instruction) { return iequals(instruction.keyword.value, "FROM"); }

  static Stage make_stage(Instruction from) {
    Stage stage;
    const auto& name = std::get<FromInstruction>(from.body).name;
    if (name) stage.name = to_lower(name->value);
    for (const std::string& line : from.comment) {
      if (stage.name.empty() || !line.starts_with(stage.name + ' ')) continue;
      stage.description = line.substr(stage.name.size() + 1);
      break;
    }
    stage.from = std::move(from);
    return stage;
  }

  Dockerfile& dockerfile_;
  Report& report_;
  bool complained_ = false;
};

/// Reads a Dockerfile and, in the places of its INCLUDEs, the files these name.
class FileReader {
 public:
  FileReader(Dockerfile& dockerfile, const ParseOptions& options, Report& report, Checks& checks)
      : report_(report), checks_(checks), assembler_(dockerfile, report), includer_(options.include, report) {}

  void read(const IncludeFrame& frame, const DirectiveBlock& block) {
    InstructionReader reader(frame.source, block, report_, checks_);
    while (auto instruction = reader.next()) {
      empty_ = false;
      if (reader.include()) {
        include(*reader.include(), instruction->span, frame, block);
      } else {
        assembler_.add(std::move(*instruction));
      }
    }
    reader.finish();
  }

  bool empty() const { return empty_; }
  const Includer& includer() const { return includer_; }

 private:
  void include(const Text& path, const Span& at, const IncludeFrame& includer, const DirectiveBlock& outer) {
    const std::optional<IncludeFrame> frame = includer_.open(path, at, includer);
    if (!frame) return;
    DirectiveBlock block = read_directives(frame->source, report_);
    for (const Directive& directive : block.directives) check_directive(directive, outer);
    block.escape = outer.escape;
    block.includes = true;
    read(*frame, block);
  }

  /// Directives are about the whole build: those of the Dockerfile hold.
  void check_directive(const Directive& directive, const DirectiveBlock& outer) {
    const std::string& name = directive.name.value;
    if (name == "escape" && directive.value.value.front() != outer.escape) {
      report_.malformed(directive.value.span,
                        "an included file has another escape character than the file that includes it",
                        "continue lines in both files in the same way");
    } else if (name == "check" || name == "syntax") {
      report_.note({Severity::note,
                    directive.name.span,
                    cat("the ", name, " directive of an included file has no effect"),
                    "put it at the top of the Dockerfile",
                    {}});
    }
  }

  Report& report_;
  Checks& checks_;
  Assembler assembler_;
  Includer includer_;
  bool empty_ = true;
};

void take_includes(const Includer& includer, Dockerfile& dockerfile, Checks& checks) {
  const auto& included = includer.sources();
  dockerfile.sources = {dockerfile.source};
  dockerfile.sources.insert(dockerfile.sources.end(), included.begin(), included.end());
  dockerfile.includes = includer.places();
  checks.set_includes(includer.places());
}

void take_check_options(const DirectiveBlock& block, Checks& checks, Report& report) {
  if (checks.has_own_options()) return;
  for (const Directive& directive : block.directives) {
    if (directive.name.value != "check") continue;
    try {
      CheckOptions options = parse_check_options(directive.value.value);
      for (Diagnostic& note : unknown_rule_notes(options, directive.value.span)) report.note(std::move(note));
      checks.set_file_options(std::move(options));
    } catch (const Error& error) {
      report.malformed(directive.value.span, cat("failed to parse check options: ", error.what()), error.hint());
    }
  }
}

}  // namespace

Dockerfile parse_dockerfile(std::shared_ptr<const SourceText> source, const ParseOptions& options) {
  Report report;
  Checks none = Checks::none();
  Checks& checks = options.checks == nullptr ? none : *options.checks;
  Dockerfile dockerfile;
  dockerfile.source = source;
  const Span start{source, 0, 0};
  if (source->text().empty()) report.malformed(start, "the Dockerfile cannot be empty");
  report.throw_errors();

  DirectiveBlock block = read_directives(source, report);
  dockerfile.escape = block.escape;
  take_check_options(block, checks, report);
  FileReader reader(dockerfile, options, report, checks);
  reader.read({source, {}, nullptr}, block);
  take_includes(reader.includer(), dockerfile, checks);
  if (reader.empty() && report.ok())
    report.malformed(start, "file with no instructions", "a Dockerfile begins with FROM");
  if (dockerfile.stages.empty() && report.ok()) report.malformed(start, "dockerfile contains no stages to build");
  report.throw_errors(dockerfile.includes);
  dockerfile.directives = std::move(block.directives);
  dockerfile.warnings = report.take_warnings();
  return dockerfile;
}

Instruction parse_trigger(const std::string& trigger, const std::string& origin) {
  const auto source = std::make_shared<const SourceText>(origin, trigger);
  Report report;
  const DirectiveBlock block = read_directives(source, report);
  Checks none = Checks::none();
  InstructionReader reader(source, block, report, none);
  std::vector<Instruction> instructions;
  while (auto instruction = reader.next()) instructions.push_back(std::move(*instruction));
  reader.finish();
  report.throw_errors();
  const Span whole{source, 0, trigger.size()};
  if (instructions.size() != 1) report.malformed(whole, "onbuild trigger should be a single expression");
  if (report.ok() && std::holds_alternative<FromInstruction>(instructions.front().body)) {
    report.malformed(whole, "FROM isn't allowed as an ONBUILD trigger");
  }
  report.throw_errors();
  return std::move(instructions.front());
}

}  // namespace cbuild::frontend
