// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cbuild::bake {

/// Go's path.Match: "*", "?" and "[a-z]"; a malformed pattern matches nothing.
bool name_matches(std::string_view pattern, std::string_view name);
bool is_pattern(std::string_view name);

/// Dots, which names of compose services may have, as underscores.
std::string sanitized_name(std::string name);

/// A repository or an address instead of a directory.
bool is_remote(std::string_view path);

}  // namespace cbuild::bake
