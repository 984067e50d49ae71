// SPDX-License-Identifier: Apache-2.0
#include "engine/request.h"

namespace cbuild::engine {

std::string spelling(const DockerfileSource& dockerfile) {
  if (const auto* named = std::get_if<NamedDockerfile>(&dockerfile)) return named->path;
  if (const auto* remote = std::get_if<UrlDockerfile>(&dockerfile)) return remote->url;
  return std::holds_alternative<StreamDockerfile>(dockerfile) ? "-" : "";
}

}  // namespace cbuild::engine
