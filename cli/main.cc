// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <iostream>
#include <system_error>

#include "base/error.h"
#include "base/process/standard_fds.h"
#include "cli/command.h"
#include "cli/docker_plugin.h"
#include "cli/report/error_text.h"
#include "cli/report/exit_codes.h"

int main(int argc, char** argv) {
  using namespace cbuild;
  open_standard_fds();
  std::signal(SIGXFSZ, SIG_IGN);  // a write over the limit of file sizes fails then, and says which file it was
  try {
    const cli::Arguments words{argv + (argc > 0 ? 1 : 0), argv + argc};
    return argc > 0 && cli::is_docker_plugin(argv[0]) ? cli::run_docker_plugin(words) : cli::run_command(words);
  } catch (const Error& error) {
    std::cerr << cli::error_text(error, {});
    return cli::exit_code_of(error);
  } catch (const std::system_error& error) {  // a thread that could not be started
    std::cerr << cli::error_text(Error(ErrorCode::unsupported, error.what()).with_errno(error.code().value()), {});
    return cli::exit_code::kInternal;
  } catch (const std::exception& error) {
    std::cerr << "ERROR: internal: " << error.what() << "\n";
    return cli::exit_code::kInternal;
  }
}
