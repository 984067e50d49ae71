// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "cli/flags/arguments.h"
#include "engine/entered_step.h"

namespace cbuild::cli {

/// The command line of `cbuild run` or `cbuild debug`.
struct EnterLine {
  std::string root, subject;  ///< subject: an image, a stage or a step; empty: not given
  std::string build;          ///< of the history; empty: the last one
  bool before = false;
  Arguments command;
  std::optional<std::string> entrypoint;
  engine::EnteredCommand entered;  ///< without argv; sources of mounts are absolute
  bool input = false;              ///< stdin is passed on
  std::optional<bool> terminal;
  std::string platform, pull, progress = "auto";

  /// The command gets a terminal: as asked for, else if stdin and stdout are one.
  bool wants_terminal() const;
};

/// Parse the words behind the command's name; words behind the first positional one belong to the command. Throw
/// Error{usage}; nullopt when help or the version was asked for and is printed.
std::optional<EnterLine> parse_run_line(Arguments arguments);
std::optional<EnterLine> parse_debug_line(Arguments arguments);

/// "SOURCE:TARGET[:ro|rw]". Throws Error{usage}.
engine::HostMount parse_volume(const std::string& text);
/// "type=bind,source=PATH,target=PATH[,readonly=false]", with docker's other names of these. Throws Error{usage}.
engine::HostMount parse_bind_mount(const std::string& text);

}  // namespace cbuild::cli
