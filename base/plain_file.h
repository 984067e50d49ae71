// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"

/// Reading files that a user, a context or an image names. Anything may stand there: a FIFO whose open blocks for ever,
/// a device, a directory. It is looked at before it is opened, opened without blocking, and named in the error. The
/// null device reads as an empty file everywhere, as it does for other programs.
namespace cbuild::sys {

/// Whether a pipe may stand for the file, as `<(command)` of a shell gives one. It is read to its end; one that nobody
/// writes to is an error after some seconds, and a signal ends the wait.
enum class Pipes { refused, taken };

/// nullopt if nothing is there (ENOENT, ENOTDIR). Throws Error{input} if it is not a file, or larger than `limit`.
std::optional<std::string> try_read_plain(int dirfd, const std::string& path, std::size_t limit,
                                          Pipes pipes = Pipes::refused);

/// "FIFO", "directory", "socket" or "device"; for messages about a name that is not a regular file.
std::string_view file_kind(unsigned mode);

/// Throws Error{input} "PATH is a directory, not a file" unless `mode` is that of a regular file.
void check_is_plain(unsigned mode, const std::string& path);

}  // namespace cbuild::sys
