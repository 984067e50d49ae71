// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cbuild {

/// The value of a variable of this process's environment; empty where it is not set.
std::string environment_value(const std::string& name);

/// The directory of docker's settings: DOCKER_CONFIG, else ~/.docker; empty without a home directory.
std::string docker_directory();

}  // namespace cbuild
