// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "frontend/lower/lower_stage.h"
#include "frontend/syntax/ast.h"

/// The effect of each instruction on a stage: one overload each. All throw DiagnosticError or Error{input}.
namespace cbuild::frontend {

void apply(StageLowering& stage, const FromInstruction& from);
void apply(StageLowering& stage, const RunInstruction& run);
void apply(StageLowering& stage, const CmdInstruction& cmd);
void apply(StageLowering& stage, const EntrypointInstruction& entrypoint);
void apply(StageLowering& stage, const ShellInstruction& shell);
void apply(StageLowering& stage, const CopyInstruction& copy);
void apply(StageLowering& stage, const EnvInstruction& env);
void apply(StageLowering& stage, const LabelInstruction& label);
void apply(StageLowering& stage, const ArgInstruction& arg);
void apply(StageLowering& stage, const ExposeInstruction& expose);
void apply(StageLowering& stage, const VolumeInstruction& volume);
void apply(StageLowering& stage, const UserInstruction& user);
void apply(StageLowering& stage, const WorkdirInstruction& workdir);
void apply(StageLowering& stage, const StopsignalInstruction& stopsignal);
void apply(StageLowering& stage, const MaintainerInstruction& maintainer);
void apply(StageLowering& stage, const HealthcheckInstruction& healthcheck);
void apply(StageLowering& stage, const OnbuildInstruction& onbuild);

/// The words that run `line` in the stage's shell.
std::vector<std::string> in_shell(const StageLowering& stage, const std::string& line);
/// The words of a command: exec form as written, shell form in the stage's shell.
std::vector<std::string> command_words(const StageLowering& stage, const CommandLine& command);

}  // namespace cbuild::frontend
