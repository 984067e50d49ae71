// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sandbox/setup_run.h"

namespace cbuild::sandbox {

/// Where a step cannot have a pid namespace, its processes are held together by a parent of their own: a
/// subreaper, to which every orphan of the step comes back. Runs the plan in a child, passes SIGTERM on to
/// it, and when that child ends, or at SIGUSR1, or when the zygote dies, kills until nothing is left. Exits
/// with the command's code, or 128 + signal. Called in a process cloned for it. A process that is faster at
/// forking than this at killing can escape; so can one that the step's user may ptrace. Both are said in
/// docs/security.md.
[[noreturn]] void run_as_subreaper(setup::Child& child);

}  // namespace cbuild::sandbox
