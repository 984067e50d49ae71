// SPDX-License-Identifier: Apache-2.0
#include "base/process/environment.h"

#include <cstdlib>

#include "base/text.h"

namespace cbuild {

std::string environment_value(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::string() : value;
}

std::string docker_directory() {
  if (std::string docker = environment_value("DOCKER_CONFIG"); !docker.empty()) return docker;
  const std::string home = environment_value("HOME");
  return home.empty() ? home : join_path(home, ".docker");
}

}  // namespace cbuild
