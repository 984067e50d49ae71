// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace cbuild::api {

/// Whether lowering knows what a capability, which a client says an operation needs, stands for. Which of its values
/// are understood the operation itself decides.
bool is_known_capability(std::string_view name);

}  // namespace cbuild::api
