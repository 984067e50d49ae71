// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cbuild {

/// The fields of one CSV record, as flags like --output have it: a field may be in double quotes, with doubled quotes
/// inside. Throws Error{usage} naming `flag` for a quote that is not closed.
std::vector<std::string> csv_fields(std::string_view text, std::string_view flag);

}  // namespace cbuild
