// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "frontend/syntax/ast.h"
#include "frontend/syntax/parser_report.h"
#include "frontend/syntax/parser_statement.h"

namespace cbuild::frontend {

/// Makes the body of an instruction from its statement and reports whatever is wrong with it; after a report the body
/// is good for nothing but going on.
using Builder = InstructionBody (*)(const Statement&, Report&);

struct InstructionKind {
  std::string_view name;  ///< upper case
  Builder build;
  bool heredocs = false;  ///< heredocs are read behind it, unless it has the JSON form
};

/// In any case; nullptr for an unknown keyword.
const InstructionKind* find_instruction(std::string_view keyword);
/// Reports an unknown keyword with a suggestion.
void report_unknown_instruction(const Statement& statement, Report& report);

InstructionBody build_from(const Statement&, Report&);
InstructionBody build_run(const Statement&, Report&);
InstructionBody build_cmd(const Statement&, Report&);
InstructionBody build_entrypoint(const Statement&, Report&);
InstructionBody build_shell(const Statement&, Report&);
InstructionBody build_copy(const Statement&, Report&);
InstructionBody build_add(const Statement&, Report&);
InstructionBody build_env(const Statement&, Report&);
InstructionBody build_label(const Statement&, Report&);
InstructionBody build_arg(const Statement&, Report&);
InstructionBody build_expose(const Statement&, Report&);
InstructionBody build_volume(const Statement&, Report&);
InstructionBody build_user(const Statement&, Report&);
InstructionBody build_workdir(const Statement&, Report&);
InstructionBody build_stopsignal(const Statement&, Report&);
InstructionBody build_maintainer(const Statement&, Report&);
InstructionBody build_healthcheck(const Statement&, Report&);
InstructionBody build_onbuild(const Statement&, Report&);

/// The arguments of ADD, COPY and VOLUME: the JSON form, or words between blanks. nullopt if they are a JSON array of
/// something else than strings, which is reported.
std::optional<std::vector<Text>> list_arguments(const Statement& statement, Report& report);
/// The same for a command line in `part` of the line: the JSON form, or one text.
std::optional<CommandLine> command_arguments(const Statement& statement, Range part, Report& report);

}  // namespace cbuild::frontend
