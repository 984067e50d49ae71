// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "cli/command_streams.h"
#include "cli/flags/on_error.h"
#include "cli/report/closable_view.h"
#include "engine/entered_step.h"

namespace cbuild::cli {

/// Runs `command` in the step with the standard streams of this process, and waits for its end. A command with a
/// terminal gets this one's TERM. Gives its exit code. Throws Error if it could not be started.
int run_entered(engine::EnteredStep& step, engine::EnteredCommand command, StreamKind kind, int shown);

/// The action of --on-error, for StepSettings::on_failure; empty if there is none. It ends `view`, and shows the
/// failure before it does anything; `told` becomes true then. Mistakes of its own are shown, and the failure stays.
std::function<void(const engine::StepFailed&, engine::EnteredStep&)> on_failure(const OnError& wanted,
                                                                                const std::string& store,
                                                                                ClosableView& view, bool& told);

}  // namespace cbuild::cli
