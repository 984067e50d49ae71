// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cbuild::cli {

/// The name under which docker's client starts the program.
inline constexpr const char* kPluginName = "docker-buildx";

/// Where docker's client looks for plugins of this user: cli-plugins below DOCKER_CONFIG or ~/.docker. Throws
/// Error{usage} without a home directory.
std::string plugin_directory();

/// Makes a link to `program` in `directory`, which is made if it is missing, and returns the link's path. A link to a
/// cbuild is replaced; anything else only with `force`. Throws Error{usage} otherwise.
std::string install_plugin(const std::string& program, const std::string& directory, bool force);

/// Removes the link; its path, or an empty text if nothing is there. Throws Error{usage} for anything that is not a
/// link to a cbuild.
std::string remove_plugin(const std::string& directory);

}  // namespace cbuild::cli
