// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/plugin_command.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "base/sys.h"
#include "base/text.h"
#include "cli/flags/flags.h"
#include "cli/plugin/plugin_link.h"
#include "cli/report/exit_codes.h"

namespace cbuild::cli {

int plugin_command(Arguments arguments) {
  std::string root, directory;
  bool force = false;
  CLI::App app{"Be docker's plugin buildx: docker build, docker buildx, docker compose build", "cbuild plugin"};
  app.fallthrough();
  app.require_subcommand(1);
  CLI::App* install = app.add_subcommand("install", "Make docker's client use cbuild: a link in its plugin directory");
  CLI::App* remove = app.add_subcommand("remove", "Remove the link");
  for (CLI::App* command : {install, remove})
    command
        ->add_option("--directory", directory,
                     "Directory of plugins (default: $DOCKER_CONFIG/cli-plugins, "
                     "~/.docker/cli-plugins)")
        ->type_name("DIRECTORY");
  install->add_flag("--force", force, "Replace another program of that name");
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  if (directory.empty()) directory = plugin_directory();
  if (install->parsed()) {
    const std::string path = install_plugin(sys::readlink_at(AT_FDCWD, "/proc/self/exe"), directory, force);
    std::cout << "installed: " << sanitize_for_terminal(path) << '\n';
    return exit_code::kSuccess;
  }
  const std::string path = remove_plugin(directory);
  std::cout << (path.empty() ? "not installed in " + sanitize_for_terminal(directory)
                             : "removed: " + sanitize_for_terminal(path))
            << '\n';
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
