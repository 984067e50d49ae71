// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "bake/hcl/value.h"

namespace cbuild::bake::hcl {

/// The function `format`: "%[FLAGS][WIDTH][.PRECISION][\[INDEX]]VERB" with the verbs v, #v, t, b, d, o, x, X, e, E, f,
/// g, G, s, q and %. Throws ValueError.
std::string format(const std::string& pattern, std::span<const Value> arguments);

}  // namespace cbuild::bake::hcl
