// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower/lower_heredoc.h"

#include "base/text.h"
#include "frontend/lower/lower_instructions.h"
#include "frontend/stages/lower_diagnostic.h"

namespace cbuild::frontend {

namespace {

constexpr std::string_view kScriptDirectory = "/dev/pipes/";

std::string reassemble(const CommandLine& command) {
  std::string out = command.arguments[0].value;
  for (const Heredoc& heredoc : command.heredocs) {
    out += cat("\n", heredoc.strip_tabs ? heredoc.raw_body : heredoc.body, heredoc.name.value);
  }
  return out;
}

}  // namespace

std::string summarize_heredoc(std::string_view body) {
  const std::string_view text = trim(body);
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::string(text);
  std::string_view first = text.substr(0, end);
  if (first.ends_with('\r')) first.remove_suffix(1);
  return cat(first, "...");
}

RunScript make_run_script(const StageLowering& stage, const CommandLine& command) {
  RunScript out;
  if (command.exec_form || command.heredocs.empty()) {
    out.argv = command_words(stage, command);
    return out;
  }
  if (!command.heredoc_only) {
    out.argv = in_shell(stage, reassemble(command));
    return out;
  }
  const Heredoc& heredoc = command.heredocs[0];
  out.summary = summarize_heredoc(heredoc.body);
  if (!heredoc.body.starts_with("#!")) {
    out.argv = in_shell(stage, heredoc.body);
    return out;
  }
  if (heredoc.name.value.find('/') != std::string::npos) {
    reject(heredoc.name.span, cat("heredoc name ", go_quote(heredoc.name.value), " holds a slash"),
           "the name becomes the name of the script");
  }
  const std::string path = cat(kScriptDirectory, heredoc.name.value);
  out.files.push_back({path, heredoc.body, 0755});
  out.argv = in_shell(stage, path);
  return out;
}

}  // namespace cbuild::frontend
