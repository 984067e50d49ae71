// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cbuild::solver {

/// A CopyAction's source as it stands in its input's selector: cleaned, relative. Kept as written with
/// --parents, where "/./" has a meaning, and with wildcards.
std::string copy_path(std::string_view source, bool parents);

/// The source of a mount as it stands in its input's selector: taken literally, cleaned, relative.
std::string mount_path(std::string_view source);

}  // namespace cbuild::solver
