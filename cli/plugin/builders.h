// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace cbuild::cli {

/// The only builder: this machine, with an engine that images are loaded into.
struct Builder {
  std::string name;      ///< docker's context
  std::string endpoint;  ///< address of the engine
  std::vector<std::string> platforms;
};

/// As the environment has it. Platforms: this machine's, and those that an interpreter is registered for.
Builder current_builder();

/// Lists the builder: "table", "json", or a Go template over .Name, .Driver, .Current and .Nodes. Throws Error{usage}.
std::string list_builders(const Builder& builder, const std::string& format);

/// What `docker buildx inspect` prints.
std::string describe_builder(const Builder& builder);

}  // namespace cbuild::cli
