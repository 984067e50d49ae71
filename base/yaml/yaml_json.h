// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace cbuild::yaml {

/// The first document of a YAML 1.1 text, as far as JSON can say it: plain scalars that read as null, booleans or
/// integers become such, all others are strings; keys are strings. Aliases are followed. JSON texts are YAML. Throws
/// Error{input} with line and column for text that is not YAML, and for documents that are deeper than 64 levels or
/// unfold to more than a million values.
nlohmann::json yaml_to_json(std::string_view text);

}  // namespace cbuild::yaml
