// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace cbuild::solver {

/// Version of everything that keys are made of. It stands in the canonical bytes of ops and selectors and in both kinds
/// of keys, so raising it makes every older record unfindable. Digests of trees carry none of their own: they count
/// only inside keys, and as memos, which the store finds by the bytes of their selector. So whoever changes the meaning
/// of any of these bytes, or the fields that the digest of a tree covers, raises this number and nothing else.
inline constexpr std::uint64_t kKeyFormat = 1;

}  // namespace cbuild::solver
