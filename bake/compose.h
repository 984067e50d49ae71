// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bake/bake_files.h"
#include "bake/config.h"

namespace cbuild::bake {

/// Whether the text is a compose file: a YAML mapping with services. Throws Error{input} for text that is not YAML.
bool is_compose(const std::string& text);

/// The services with a `build` as targets, and all of them as the group "default". Files are merged as compose does it,
/// variables are those of the environment and of the file ".env" here. Throws Error{input}.
void read_compose(const std::vector<BakeFile>& files, const VariableSources& sources, Config& config);

}  // namespace cbuild::bake
