// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace cbuild::cli {

/// The words behind the name of a command.
using Arguments = std::vector<std::string>;

}  // namespace cbuild::cli
