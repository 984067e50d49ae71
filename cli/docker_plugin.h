// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/flags/arguments.h"

namespace cbuild::cli {

/// Whether the program was started under the name by which docker's client knows its plugin.
bool is_docker_plugin(const std::string& program);

/// Carries out `words` as docker's plugin buildx: docker's flags, then a command of buildx. Returns the exit code.
int run_docker_plugin(const Arguments& words);

}  // namespace cbuild::cli
