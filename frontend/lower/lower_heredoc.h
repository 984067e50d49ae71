// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "frontend/lower/lower_stage.h"
#include "solver/graph/op.h"

namespace cbuild::frontend {

/// The command of a RUN and its scripts.
struct RunScript {
  std::vector<std::string> argv;
  std::vector<solver::InlineFile> files;
  std::string summary;  ///< first line of the script, for the step name; empty unless the command is one heredoc
};

/// Makes the command of a RUN. A line that is nothing but a heredoc is a script: run as a file if it begins
/// with "#!", else given to the shell. Any other line is put together again with its heredocs for the shell
/// to read.
RunScript make_run_script(const StageLowering& stage, const CommandLine& command);

/// First line of a heredoc's body, "..." after it if there are more.
std::string summarize_heredoc(std::string_view body);

}  // namespace cbuild::frontend
