// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace cbuild::cli {

/// Fills in a template in the part of Go's text/template that formats of docker's commands use: fields
/// (".Manifest.Size", in any case, "_" left out), variables, pipes, parentheses, comments, "{{-" and "-}}", if, else,
/// range, with, and the functions and, eq, ge, gt, index, join, json, le, len, lower, lt, ne, not, or, print, printf,
/// println, split, upper. A field that `root` itself lacks is an error, one further down is empty. Throws Error{usage}
/// with the place.
std::string fill_template(std::string_view text, const nlohmann::ordered_json& root);

}  // namespace cbuild::cli
