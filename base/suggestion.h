// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cbuild {

/// Whether a hint asks "did you mean X?".
bool is_suggestion(std::string_view hint);

/// "MESSAGE (did you mean X?)" where the hint is a suggestion: it belongs to the first line of an error, which may be
/// all that a log shows. Any other hint is not added.
std::string with_suggestion(std::string_view message, std::string_view hint);

}  // namespace cbuild
