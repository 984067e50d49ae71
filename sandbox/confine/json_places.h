// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace cbuild::sandbox::confine {

/// A way into a JSON document: names of members and numbers of elements.
using JsonPath = std::vector<std::variant<std::string, std::size_t>>;

/// The line, from 1, in which the value begins that `path` leads to; as far as it goes. `text` is valid JSON.
std::size_t json_line(std::string_view text, const JsonPath& path);

/// The line of the byte at `offset`.
std::size_t line_of_byte(std::string_view text, std::size_t offset);

}  // namespace cbuild::sandbox::confine
