// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

#include "bake/hcl/value.h"

namespace cbuild::bake::hcl {

/// An operation or function that does not take its values, in words that follow a place: "a number is required". The
/// evaluator adds where in the file.
class ValueError : public std::runtime_error {
 public:
  explicit ValueError(const std::string& message) : std::runtime_error(message) {}
};

/// `value` as a value of `type`: numbers and booleans become strings and back, tuples lists, objects maps. Throws
/// ValueError.
Value convert(const Value& value, const Type& type);

/// All of them converted to the one type they have in common. Throws ValueError.
Values convert_alike(const Values& values, Type& common);

}  // namespace cbuild::bake::hcl
