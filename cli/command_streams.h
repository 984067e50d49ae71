// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <termios.h>

#include <optional>
#include <string>
#include <thread>

#include "base/cancel.h"
#include "base/fd.h"

namespace cbuild::cli {

/// How a command in a sandbox is connected to the standard streams of this process.
enum class StreamKind {
  output,    ///< it has an empty stdin
  input,     ///< what comes in on stdin is passed on
  terminal,  ///< a terminal of its own, of which this process's terminal shows the inside
};

/// The connection, from its making to its end. A command never gets a descriptor of this process's own: through
/// /proc/self/fd it could open the file behind it once more.
class CommandStreams {
 public:
  /// `shown` is the descriptor that a terminal's output goes to; stdin is read. The terminal of this process is raw
  /// until the end. Throws Error.
  CommandStreams(StreamKind kind, int shown);
  /// Shows what the command has written before its end, and gives this process's terminal back as it was.
  ~CommandStreams();
  CommandStreams(const CommandStreams&) = delete;
  CommandStreams& operator=(const CommandStreams&) = delete;

  /// For the command; -1: it has none.
  int stdin_fd() const { return input_.get(); }
  int terminal_fd() const { return terminal_.get(); }

 private:
  void open_terminal();
  void carry();
  void fit_window();

  const StreamKind kind_;
  const int shown_;
  UniqueFd input_, terminal_;  ///< the command's ends
  UniqueFd near_;              ///< the other end of the one that is open
  CancelSource stop_;
  std::optional<termios> before_;
  std::string window_;  ///< the size that was last passed on
  std::jthread thread_;
};

}  // namespace cbuild::cli
