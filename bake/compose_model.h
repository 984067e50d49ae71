// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bake/bake_files.h"

/// Compose files as one model: merge keys followed, variables put in, short forms written out, files merged.
namespace cbuild::bake {

using Environment = std::map<std::string, std::string>;

/// `services` and `secrets` of the files, merged. Throws Error{input} with the name of the file.
nlohmann::json load_compose(const std::vector<BakeFile>& files, const Environment& environment);

/// The assignments of a file ".env"; values may refer to those before them and to `environment`, which wins.
Environment parse_env_file(const std::string& text, const Environment& environment);

/// `text` with ${VARIABLE}, ${VARIABLE:-default} and so on replaced, $$ being $. Throws Error{input}.
std::string interpolate(const std::string& text, const Environment& environment);

/// A scalar as text; empty for null.
std::string scalar_text(const nlohmann::json& value);

}  // namespace cbuild::bake
