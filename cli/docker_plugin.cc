// SPDX-License-Identifier: Apache-2.0
#include "cli/docker_plugin.h"

#include <stdlib.h>

#include "base/process/environment.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/plugin/client_socket.h"
#include "cli/plugin/plugin_commands.h"
#include "cli/plugin/plugin_link.h"
#include "cli/plugin/plugin_words.h"

namespace cbuild::cli {

bool is_docker_plugin(const std::string& program) { return base_name(program) == kPluginName; }

int run_docker_plugin(const Arguments& words) {
  const PluginCall call = read_plugin_call(words);
  for (const auto& [name, value] : call.environment)
    if (value)
      ::setenv(name.c_str(), value->c_str(), 1);
    else
      ::unsetenv(name.c_str());
  choose_builder(call.builder.empty() ? environment_value("BUILDX_BUILDER") : call.builder);
  const PluginResult result = run_buildx(call.words);
  if (const int* code = std::get_if<int>(&result)) return *code;
  const UniqueFd client = watch_docker_client(environment_value("DOCKER_CLI_PLUGIN_SOCKET"));
  return run_command(std::get<Arguments>(result));
}

}  // namespace cbuild::cli
