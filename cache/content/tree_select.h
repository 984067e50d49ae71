// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cbuild::cache {

/// "/a/./b/" -> "a/b"; the root is "".
std::string relative_path(std::string_view path);

}  // namespace cbuild::cache
