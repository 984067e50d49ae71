// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "frontend/lower/lower_stage.h"
#include "frontend/syntax/ast.h"
#include "frontend/syntax/check.h"

/// Checks made while a stage is lowered, for the instruction being executed: they see the stages that are built. For a
/// trigger the finding is at the FROM.
namespace cbuild::frontend {

/// UndefinedVar: `unset` was used without a value. A declared ARG may have none.
void check_undefined(const StageLowering& stage, const std::vector<std::string>& unset);
/// Whether a variable of that name is likely to hold a secret: "GITHUB_TOKEN", not "TOKEN_FILE".
bool sounds_secret(std::string_view name);
/// SecretsUsedInArgOrEnv. `keyword`: "ARG" or "ENV".
void check_secret_name(const StageLowering& stage, std::string_view keyword, std::string_view name);
/// JSONArgsRecommended.
void check_command_form(const StageLowering& stage, const CommandLine& command);
/// MultipleInstructionsDisallowed: `earlier` is the last one of the kind and becomes this one.
void check_used_once(const StageLowering& stage, EarlierInstruction& earlier);
/// LegacyKeyValueFormat.
void check_key_values(const StageLowering& stage, bool legacy);
/// WorkdirRelativePath; `path` is expanded.
void check_workdir(StageLowering& stage, const std::string& path);
/// CopyIgnoredFile, for a source in the build context.
void check_copy_source(const StageLowering& stage, bool add, const std::string& source);
/// ExposeProtoCasing, ExposeInvalidFormat; `port` is one expanded word that was found to be valid.
void check_exposed_port(const StageLowering& stage, const std::string& port);

/// InvalidBaseImagePlatform, for an image that FROM or COPY --from of `where` named.
void check_base_platform(const Instruction& where, const Span& span, const std::string& reference,
                         const ResolvedBase& base, Checks& checks);

}  // namespace cbuild::frontend
