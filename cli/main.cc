// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/exit_codes.h"

int main(int argc, char** argv) {
  using namespace cbuild;
  try {
    return cli::run_command({argv + 1, argv + argc});
  } catch (const Error& error) {
    std::cerr << "ERROR: " << sanitize_for_terminal(error.what()) << "\n";
    if (!error.hint().empty()) std::cerr << "hint: " << error.hint() << "\n";
    return error.code() == ErrorCode::usage ? cli::exit_code::kUsage : cli::exit_code::kInternal;
  } catch (const std::exception& error) {
    std::cerr << "ERROR: internal: " << error.what() << "\n";
    return cli::exit_code::kInternal;
  }
}
