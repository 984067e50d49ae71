// SPDX-License-Identifier: Apache-2.0
#include "cli/entered.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/report/error_text.h"
#include "cli/report/failure_text.h"

namespace cbuild::cli {
namespace {

constexpr std::size_t kMostRemoved = 20;

void set_terminal_type(const engine::EnteredStep& step, engine::EnteredCommand& command) {
  if (has_variable(step.own().environment, "TERM") || has_variable(command.environment, "TERM")) return;
  const char* type = std::getenv("TERM");
  command.environment.push_back(cat("TERM=", type == nullptr || *type == '\0' ? "xterm" : type));
}

/// Text of the command goes to this process's stream of the same name.
void write_output(LogStream stream, std::string_view data) {
  try {
    sys::write_all(stream == LogStream::out ? STDOUT_FILENO : STDERR_FILENO, data);
  } catch (const Error&) {
    // Nobody reads any more; the command goes on.
  }
}

void open_shell(engine::EnteredStep& step) {
  engine::EnteredCommand command;
  command.argv = step.shell();
  std::cerr << command.argv.front() << " in the step that failed, with the files it left; exit ends the build\n"
            << std::flush;
  run_entered(step, std::move(command), StreamKind::terminal, STDERR_FILENO);
}

void export_changes(engine::EnteredStep& step, const std::string& directory) {
  const std::vector<std::string> removed = step.export_changes(directory);
  std::cerr << "files that the step changed: " << sanitize_for_terminal(directory) << '\n';
  for (std::size_t i = 0; i < std::min(removed.size(), kMostRemoved); ++i)
    std::cerr << "it removed " << sanitize_for_terminal(removed[i]) << '\n';
  if (removed.size() > kMostRemoved) std::cerr << "it removed " << removed.size() - kMostRemoved << " more\n";
}

void act(const OnError& wanted, engine::EnteredStep& step) {
  switch (wanted.action) {
    case OnErrorAction::nothing:
      return;
    case OnErrorAction::shell:
      return open_shell(step);
    case OnErrorAction::export_changes:
      return export_changes(step, wanted.directory);
  }
}

}  // namespace

int run_entered(engine::EnteredStep& step, engine::EnteredCommand command, StreamKind kind, int shown) {
  if (kind == StreamKind::terminal) set_terminal_type(step, command);
  sandbox::Exit exit;
  {
    const CommandStreams streams(kind, shown);
    command.stdin_fd = streams.stdin_fd();
    command.terminal_fd = streams.terminal_fd();
    command.output = write_output;
    exit = step.run(command);
  }
  if (!exit.setup_error.empty())
    throw Error(ErrorCode::unsupported, cat("cannot start the command: ", exit.setup_error));
  return exit.code;
}

std::function<void(const engine::StepFailed&, engine::EnteredStep&)> on_failure(const OnError& wanted,
                                                                                const std::string& store,
                                                                                ClosableView& view, bool& told) {
  if (wanted.action == OnErrorAction::nothing) return nullptr;
  return [&](const engine::StepFailed& failed, engine::EnteredStep& step) {
    view.close();
    std::cerr << failure_text(failed, store) << std::flush;
    told = true;
    try {
      act(wanted, step);
    } catch (const Error& error) {
      std::cerr << error_text(error, store);
    }
  };
}

}  // namespace cbuild::cli
