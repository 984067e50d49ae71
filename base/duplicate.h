// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/fd.h"

namespace cbuild {

/// Another descriptor of the same open file, close-on-exec. Throws Error where none is left.
UniqueFd duplicate(int fd);

}  // namespace cbuild
