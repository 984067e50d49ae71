// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "bake/hcl/value.h"
#include "bake/target.h"

namespace cbuild::bake {

/// Whether targets have an attribute of that name, besides `matrix`.
bool is_target_attribute(std::string_view name);

/// Sets an attribute of a target from its value and returns it as expressions see it that refer to the target: a number
/// where a string belongs is one. Null leaves it unset. Throws hcl::ValueError.
hcl::Value set_attribute(Target& target, const std::string& name, const hcl::Value& value);

/// What expressions see of an attribute that is not set.
hcl::Value unset_attribute(const std::string& name);

}  // namespace cbuild::bake
