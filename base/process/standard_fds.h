// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cbuild {

/// Opens what is closed of the descriptors 0 to 2, so that no file, socket or pipe of the program becomes one of them
/// and is written to as if it were the terminal. Reading such a standard input or writing to such a standard output
/// fails with EBADF, what goes to such a standard error is dropped. First thing in main().
void open_standard_fds() noexcept;

}  // namespace cbuild
