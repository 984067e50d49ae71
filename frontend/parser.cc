// SPDX-License-Identifier: Apache-2.0
// The lines come in order; each becomes a statement, its heredoc bodies are read behind it, and the builder of its keyword
// makes the instruction. A mistake in one instruction is reported and reading goes on with the next line.
#include "frontend/parser.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "frontend/directives.h"
#include "frontend/heredoc.h"
#include "frontend/json_form.h"
#include "frontend/lines.h"
#include "frontend/parser_build.h"
#include "frontend/parser_report.h"
#include "frontend/parser_statement.h"

namespace cbuild::frontend {
namespace {

class InstructionReader {
 public:
  InstructionReader(std::shared_ptr<const SourceText> source, const DirectiveBlock& block, Report& report)
      : source_(std::move(source)), escape_(block.escape), lines_(source_->text(), block.end, block.escape),
        report_(report) {}

  /// The next instruction, whether or not it is well-formed.
  std::optional<Instruction> next();
  /// Reports a line that ended the reading early. To be called once, at the end.
  void finish();

 private:
  InstructionBody build(Statement& statement, Instruction& instruction);
  bool takes_heredocs(const Statement& statement, bool in_trigger = false) const;
  void read_heredocs(Statement& statement, Instruction& instruction);
  void read_body(HeredocOnLine& announced, const Statement& statement, Instruction& instruction);

  std::shared_ptr<const SourceText> source_;
  char escape_;
  LineReader lines_;
  Report& report_;
  LogicalLine line_;
};

std::optional<Instruction> InstructionReader::next() {
  if (!lines_.next(line_)) return std::nullopt;
  if (line_.empty_continuation) {
    report_.warn("NoEmptyContinuation", {source_, line_.last_line, line_.end}, "Empty continuation line");
  }
  Statement statement = split_statement(source_, line_, {0, line_.text.size()}, escape_);
  Instruction instruction;
  instruction.keyword = statement.text(statement.keyword);
  instruction.original = statement.view({statement.keyword.begin, statement.rest.end});
  instruction.span = {source_, line_.begin, line_.end};
  instruction.body = build(statement, instruction);
  instruction.flags = std::move(statement.flags);
  instruction.comment = std::move(line_.comment);
  return instruction;
}

InstructionBody InstructionReader::build(Statement& statement, Instruction& instruction) {
  const InstructionKind* kind = find_instruction(statement.view(statement.keyword));
  if (kind == nullptr) {
    report_unknown_instruction(statement, report_);
    return {};
  }
  if (takes_heredocs(statement)) read_heredocs(statement, instruction);
  return kind->build(statement, report_);
}

/// A trigger may take them; what stands behind a second ONBUILD is refused anyway.
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

}  // namespace

Dockerfile parse_dockerfile(std::shared_ptr<const SourceText> source) {
  Report report;
  Dockerfile dockerfile;
  dockerfile.source = source;
  const Span start{source, 0, 0};
  if (source->text().empty()) report.malformed(start, "the Dockerfile cannot be empty");
  report.throw_errors();

  DirectiveBlock block = read_directives(source, report);
  dockerfile.escape = block.escape;
  InstructionReader reader(source, block, report);
  Assembler assembler(dockerfile, report);
  bool empty = true;
  while (auto instruction = reader.next()) {
    assembler.add(std::move(*instruction));
    empty = false;
  }
  reader.finish();
  if (empty && report.ok()) report.malformed(start, "file with no instructions", "a Dockerfile begins with FROM");
  if (dockerfile.stages.empty() && report.ok()) report.malformed(start, "dockerfile contains no stages to build");
  report.throw_errors();
  dockerfile.directives = std::move(block.directives);
  dockerfile.warnings = report.take_warnings();
  return dockerfile;
}

Instruction parse_trigger(const std::string& trigger, const std::string& origin) {
  const auto source = std::make_shared<const SourceText>(origin, trigger);
  Report report;
  const DirectiveBlock block = read_directives(source, report);
  InstructionReader reader(source, block, report);
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
