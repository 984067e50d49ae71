// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/digest.h"

namespace cbuild {

/// 256 random bits from the kernel.
Digest random_digest();
/// 16 random hex digits.
std::string random_hex();

}  // namespace cbuild
