// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace cbuild::supply {

/// A URL with "xxxxx" in the place of a user's name and password; any other text as it is.
std::string without_credentials(std::string_view url);

/// `text` with "***" in the place of each of `hidden`; those of fewer than 6 bytes are left, as they stand in ordinary
/// words.
std::string without_texts(std::string text, std::span<const std::string> hidden);

}  // namespace cbuild::supply
