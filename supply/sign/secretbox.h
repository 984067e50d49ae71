// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cbuild::supply {

/// Opens a box of NaCl's crypto_secretbox (XSalsa20 and Poly1305): 16 bytes of authenticator, then the ciphertext.
/// nullopt if the key, the nonce or the box is another one, or has another length: 32, 24, 16 and more.
std::optional<std::string> open_secretbox(std::string_view key, std::string_view nonce, std::string_view box);

}  // namespace cbuild::supply
