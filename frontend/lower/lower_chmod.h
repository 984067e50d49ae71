// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace cbuild::frontend {

/// Checks --chmod: an octal number up to 07777, or the symbolic form of chmod(1). Throws Error{input} with
/// BuildKit's texts.
void check_chmod(std::string_view mode);

}  // namespace cbuild::frontend
