// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "base/text.h"
#include "frontend/syntax/parser.h"
#include "frontend/syntax/parser_build.h"

namespace cbuild::frontend {
namespace {

constexpr std::array<InstructionKind, 18> kKinds = {{
    {"ADD", &build_add, true},
    {"ARG", &build_arg},
    {"CMD", &build_cmd},
    {"COPY", &build_copy, true},
    {"ENTRYPOINT", &build_entrypoint},
    {"ENV", &build_env},
    {"EXPOSE", &build_expose},
    {"FROM", &build_from},
    {"HEALTHCHECK", &build_healthcheck},
    {"LABEL", &build_label},
    {"MAINTAINER", &build_maintainer},
    {"ONBUILD", &build_onbuild},
    {"RUN", &build_run, true},
    {"SHELL", &build_shell},
    {"STOPSIGNAL", &build_stopsignal},
    {"USER", &build_user},
    {"VOLUME", &build_volume},
    {"WORKDIR", &build_workdir},
}};

}  // namespace

const InstructionKind* find_instruction(std::string_view keyword) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(),
                                  [&](const InstructionKind& kind) { return iequals(kind.name, keyword); });
  return found == kKinds.end() ? nullptr : &*found;
}

const std::vector<std::string>& instruction_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const InstructionKind& kind : kKinds) out.emplace_back(kind.name);
    return out;
  }();
  return names;
}

void report_unknown_instruction(const Statement& statement, Report& report) {
  const std::string keyword(statement.view(statement.keyword));
  std::string hint;
  if (iequals(keyword, "INCLUDE")) {
    hint =
        "INCLUDE is cbuild's own: it is read in files that begin with the directive \"# cbuild=include\", and not "
        "behind "
        "ONBUILD";
  } else if (const auto near = suggest(to_upper(keyword), instruction_names())) {
    hint = cat("did you mean ", keyword == to_lower(keyword) ? to_lower(*near) : *near, "?");
  }
  report.error(statement.span(statement.keyword), cat("unknown instruction: ", keyword), std::move(hint));
}

}  // namespace cbuild::frontend
