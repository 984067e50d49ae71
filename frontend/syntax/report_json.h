// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/diagnostic.h"

/// Common parts of the JSON of checks, outlines and targets. For their .cc files only.
namespace cbuild::frontend {

using SourceList = std::vector<std::shared_ptr<const SourceText>>;

/// {"sourceIndex": 1, "ranges": [{"start": {"line": 3}, "end": {"line": 3}}, ...]}: one range a line; the index is left
/// out for the first source, and an empty span has none of both.
nlohmann::ordered_json location_json(const Span& span, const SourceList& sources);

/// Indented by two blanks, with a line feed at the end; invalid UTF-8 becomes U+FFFD.
std::string dump_json(const nlohmann::ordered_json& json);

}  // namespace cbuild::frontend
