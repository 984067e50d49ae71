// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "base/error.h"
#include "base/text.h"
#include "cli/bench_command.h"
#include "cli/build.h"
#include "cli/exit_codes.h"
#include "cli/images_command.h"
#include "cli/options.h"
#include "cli/session.h"

namespace {

using namespace cbuild;

int run(int argc, char** argv) {
  const auto line = cli::parse_command_line(argc, argv);
  if (!line) return cli::exit_code::kSuccess;
  cli::Session session = cli::start_session(*line);
  switch (line->command) {
    case cli::Command::build: return cli::build_command(line->build, session);
    case cli::Command::bench: return cli::bench_command(line->build, line->bench, session);
    case cli::Command::images: return cli::images_command(session);
  }
  return cli::exit_code::kInternal;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::cerr << "ERROR: " << sanitize_for_terminal(error.what()) << "\n";
    if (!error.hint().empty()) std::cerr << "hint: " << error.hint() << "\n";
    return error.code() == ErrorCode::usage ? cli::exit_code::kUsage : cli::exit_code::kInternal;
  } catch (const std::exception& error) {
    std::cerr << "ERROR: internal: " << error.what() << "\n";
    return cli::exit_code::kInternal;
  }
}
