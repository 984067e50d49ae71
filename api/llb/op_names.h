// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "api/proto/llb.pb.h"

namespace cbuild::api {

/// What people see of an operation that its client gave no name: "local://context", "make all", "mkfile /x",
/// "merge (A, B)". `name_of` gives that of an input by its number. Bounded.
std::string op_name(const pb::Op& op, const std::function<std::string(std::int64_t)>& name_of);

}  // namespace cbuild::api
