// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "base/fd.h"

namespace cbuild::sandbox::network {

/// A new network namespace whose loopback device is up. Throws Error{unsupported}.
UniqueFd make_name_space();

/// Runs `body` in that network namespace, on a thread of its own; throws what it throws.
void in_name_space(int name_space, const std::function<void()>& body);

}  // namespace cbuild::sandbox::network
