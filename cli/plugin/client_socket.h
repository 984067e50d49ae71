// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/fd.h"

namespace cbuild::cli {

/// Connects to the socket by which docker's client tells its plugin that it ends (DOCKER_CLI_PLUGIN_SOCKET; "@name" is
/// an abstract one). When the other side closes it, this process gets SIGIO, which cancels a build. Empty where
/// nothing listens: older clients have none.
UniqueFd watch_docker_client(const std::string& socket);

}  // namespace cbuild::cli
