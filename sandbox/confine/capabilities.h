// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Sets of capabilities as bits, by the numbers of capabilities(7).
namespace cbuild::sandbox::confine {

/// Of a container of docker or BuildKit.
inline constexpr std::uint64_t kDefaultCapabilities = 0xa80425fb;
/// All that Linux has names for.
inline constexpr std::uint64_t kAllCapabilities = (std::uint64_t{1} << 41) - 1;

/// The bit of "SYS_ADMIN" or "cap_sys_admin"; nullopt for an unknown name.
std::optional<std::uint64_t> capability_bit(std::string_view name);
/// "CAP_CHOWN", in the order of their numbers.
std::vector<std::string> capability_names(std::uint64_t set);
/// The known name that is meant, for a hint.
std::optional<std::string> similar_capability(const std::string& name);

}  // namespace cbuild::sandbox::confine
