// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cbuild {

/// Where `err` is how a limit of this process shows (open files, the size of a file, processes and threads): which
/// limit that is, its value, and how it is raised. Empty for other errors and where there is no such limit.
std::string limit_hint(int err);

/// How many of `wanted` jobs at once, each with about `files_each` descriptors, the limit of open files leaves room
/// for; at least 1. The soft limit is taken as what it can be raised to.
unsigned jobs_within_open_files(unsigned wanted, unsigned files_each);

/// Whether `capability` (CAP_..., linux/capability.h) is in the effective set of this thread.
bool has_capability(unsigned capability);

/// Whether `wanted` threads more may be too many for this user (RLIMIT_NPROC) or this control group (pids.max).
bool is_thread_limit_near(unsigned wanted);

}  // namespace cbuild
