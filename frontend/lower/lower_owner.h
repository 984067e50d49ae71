// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace cbuild::frontend {

/// Whether "user[:group]" of --chown or USER holds a name that has to be looked up in the image: anything but numbers
/// up to 2147483647 and "root". The empty text holds none.
bool names_owner(std::string_view owner);

}  // namespace cbuild::frontend
