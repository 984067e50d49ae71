// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

/// The logs of steps as texts of bounded size, whatever lies on disk.
namespace cbuild::cli {

/// A log whole; of one that is larger than a step of today leaves, its head and its tail with a line between them.
/// Empty if there is none.
std::string kept_log(int dirfd, const std::string& path);

/// The end of a log, as much as is good to read below an error, made safe for a terminal. Ends with a line end; a first
/// line says how much is above it.
std::string log_tail(const std::string& path);

}  // namespace cbuild::cli
