// SPDX-License-Identifier: Apache-2.0
// The checks that the syntax tree alone can answer: casing, names of stages, form of comments, MAINTAINER. Rules and
// wording are BuildKit's (docs/checks.md); frontend/lower/check_stage.cc has those that need more.
#include "frontend/syntax/check_syntax.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace cbuild::frontend {
namespace {

bool is_lower(const std::string& word) { return word == to_lower(word); }
bool is_upper(const std::string& word) { return word == to_upper(word); }

void check_stage_name_casing(const Instruction& instruction, const FromInstruction& from, Checks& checks) {
  if (!from.name || is_lower(from.name->value)) return;
  checks.report(Check::stage_name_casing, instruction, cat("Stage name '", from.name->value, "' should be lowercase"));
}

/// A FROM in mixed case is ConsistentInstructionCasing's business.
void check_as_casing(const Instruction& instruction, const FromInstruction& from, Checks& checks) {
  if (!from.name) return;
  const std::string& keyword = instruction.keyword.value;
  const std::string& as = from.as_keyword.value;
  const bool lower = is_lower(keyword);
  if (!lower && !is_upper(keyword)) return;
  if (lower ? is_lower(as) : is_upper(as)) return;
  checks.report(Check::from_as_casing, instruction,
                cat("'", as, "' and '", keyword, "' keywords' casing do not match"));
}

bool is_check_comment(const std::string& comment) {
  return starts_with_i(comment, "check") && comment.find('=') != std::string::npos;
}

void check_description(const Instruction& instruction, const std::string& kind, const std::vector<std::string>& names,
                       Checks& checks) {
  if (instruction.comment.empty() || names.empty()) return;
  const std::string& comment = instruction.comment.back();
  const std::string first = comment.substr(0, comment.find(' '));
  if (is_check_comment(comment) || std::find(names.begin(), names.end(), first) != names.end()) return;
  checks.report(Check::invalid_definition_description, instruction,
                cat("Comment for ", kind, " should follow the format: `# ", names.size() > 1 ? "<arg_key>" : names[0],
                    " <description>`"));
}

void check_from(const Instruction& instruction, const FromInstruction& from, Checks& checks) {
  check_stage_name_casing(instruction, from, checks);
  check_as_casing(instruction, from, checks);
  if (from.name) check_description(instruction, "FROM", {to_lower(from.name->value)}, checks);
}

void check_arg(const Instruction& instruction, const ArgInstruction& arg, Checks& checks) {
  std::vector<std::string> names;
  for (const ArgInstruction::Item& item : arg.items) names.push_back(item.name.value);
  check_description(instruction, "ARG", names, checks);
}

void check_stage_names(const Dockerfile& dockerfile, Checks& checks) {
  std::set<std::string> names;
  for (const Stage& stage : dockerfile.stages) {
    if (stage.name.empty()) continue;
    if (stage.name == "scratch" || stage.name == "context") {
      checks.report(Check::reserved_stage_name, stage.from,
                    cat("Stage name should not use the same name as reserved stage ", go_quote(stage.name)));
    }
    if (!names.insert(stage.name).second) {
      checks.report(Check::duplicate_stage_name, stage.from,
                    cat("Duplicate stage name ", go_quote(stage.name), ", stage names should be unique"));
    }
  }
}

template <typename Visit>
void for_each_instruction(const Dockerfile& dockerfile, const Visit& visit) {
  for (const Stage& stage : dockerfile.stages) {
    visit(stage.from);
    for (const Instruction& instruction : stage.instructions) visit(instruction);
  }
}

/// ARGs above the first FROM do not count, as in BuildKit.
void check_casing(const Dockerfile& dockerfile, Checks& checks) {
  std::size_t lower = 0, upper = 0;
  for_each_instruction(dockerfile, [&](const Instruction& instruction) {
    const std::string& keyword = instruction.keyword.value;
    if (is_lower(keyword)) {
      ++lower;
    } else if (is_upper(keyword)) {
      ++upper;
    }
  });
  const bool wants_lower = lower > upper;
  for_each_instruction(dockerfile, [&](const Instruction& instruction) {
    const std::string& keyword = instruction.keyword.value;
    if (wants_lower ? is_lower(keyword) : is_upper(keyword)) return;
    checks.report(Check::consistent_instruction_casing, instruction,
                  cat("Command '", keyword, "' should match the case of the command majority (",
                      wants_lower ? "lowercase" : "uppercase", ")"));
  });
}

}  // namespace

void check_syntax(const Instruction& instruction, Checks& checks) {
  const std::string keyword = to_upper(instruction.keyword.value);
  if (keyword == "MAINTAINER") {
    checks.report(Check::maintainer_deprecated, instruction,
                  "Maintainer instruction is deprecated in favor of using label");
  } else if (const auto* arg = std::get_if<ArgInstruction>(&instruction.body)) {
    check_arg(instruction, *arg, checks);
  } else if (const auto* from = std::get_if<FromInstruction>(&instruction.body); from != nullptr && keyword == "FROM") {
    check_from(instruction, *from, checks);
  }
}

void check_syntax(const Dockerfile& dockerfile, Checks& checks) {
  check_stage_names(dockerfile, checks);
  check_casing(dockerfile, checks);
}

}  // namespace cbuild::frontend
