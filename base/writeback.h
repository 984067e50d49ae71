// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

namespace cbuild::sys {

/// Lets the disk begin with a large range that was written, so that a later sync finds it done. A hint; for small
/// ranges nothing.
void start_writeback(int fd, off_t begin, off_t size) noexcept;

}  // namespace cbuild::sys
