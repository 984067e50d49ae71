// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cbuild::bake::hcl {

/// The characters of a text, each as its bytes; an invalid byte is one of its own. Combining marks count with the
/// character before them.
std::vector<std::string_view> characters(std::string_view text);

/// Upper and lower case of the Latin, Greek and Cyrillic alphabets; other characters stay.
std::string upper_case(std::string_view text);
std::string lower_case(std::string_view text);
/// The first letter of each word in upper case.
std::string title_case(std::string_view text);

/// Whether the character is a blank of Unicode.
bool is_blank(std::string_view character);

}  // namespace cbuild::bake::hcl
