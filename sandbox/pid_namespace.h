// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cbuild::sandbox {

/// Continues the calling single-threaded process as init of a new pid namespace. All its children live in
/// there, so when it dies, however it dies, the kernel kills every process of every step, whatever that did
/// to its own death signal. The process it was before stays behind as a guard: it ends when the inner one
/// does, gives it some seconds to end at SIGTERM, and takes it along when it is killed itself. Signals that
/// are blocked stay so. Throws Error.
void enter_pid_namespace();

}  // namespace cbuild::sandbox
