// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "exporter/engine_address.h"

namespace cbuild::cli {

/// The engine that --load means. `context`: of the output, a context of docker's client or the address itself; empty:
/// DOCKER_HOST, DOCKER_CONTEXT, the current context of config.json, CONTAINER_HOST; else the first socket that there is
/// of Docker, Podman and containerd. Throws Error{usage} for a context that does not exist.
exporter::EngineAddress docker_engine(const std::string& context);

/// The name of the context that docker's client would use: "default" where DOCKER_HOST decides.
std::string docker_context_name();
/// Whether docker's client has a context of that name; "default" is always there.
bool has_docker_context(const std::string& name);

}  // namespace cbuild::cli
