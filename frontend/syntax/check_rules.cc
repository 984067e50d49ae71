// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "frontend/syntax/check.h"

namespace cbuild::frontend {
namespace {

// clang-format off
constexpr std::array<CheckRule, 22> kRules = {{
    {Check::stage_name_casing, "StageNameCasing",
     "Stage names should be lowercase", "stage-name-casing"},
    {Check::from_as_casing, "FromAsCasing",
     "The 'as' keyword should match the case of the 'from' keyword", "from-as-casing"},
    {Check::no_empty_continuation, "NoEmptyContinuation",
     "Empty continuation lines will become errors in a future release", "no-empty-continuation"},
    {Check::consistent_instruction_casing, "ConsistentInstructionCasing",
     "All commands within the Dockerfile should use the same casing (either upper or lower)",
     "consistent-instruction-casing"},
    {Check::duplicate_stage_name, "DuplicateStageName",
     "Stage names should be unique", "duplicate-stage-name"},
    {Check::reserved_stage_name, "ReservedStageName",
     "Reserved words should not be used as stage names", "reserved-stage-name"},
    {Check::json_args_recommended, "JSONArgsRecommended",
     "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
     "json-args-recommended"},
    {Check::maintainer_deprecated, "MaintainerDeprecated",
     "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
     "maintainer-deprecated"},
    {Check::undefined_arg_in_from, "UndefinedArgInFrom",
     "FROM command must use declared ARGs", "undefined-arg-in-from"},
    {Check::workdir_relative_path, "WorkdirRelativePath",
     "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base "
     "image changes", "workdir-relative-path"},
    {Check::undefined_var, "UndefinedVar",
     "Variables should be defined before their use", "undefined-var"},
    {Check::multiple_instructions_disallowed, "MultipleInstructionsDisallowed",
     "Multiple instructions of the same type should not be used in the same stage",
     "multiple-instructions-disallowed"},
    {Check::legacy_key_value_format, "LegacyKeyValueFormat",
     "Legacy key/value format with whitespace separator should not be used", "legacy-key-value-format"},
    {Check::invalid_base_image_platform, "InvalidBaseImagePlatform",
     "Base image platform does not match expected target platform", "invalid-base-image-platform"},
    {Check::redundant_target_platform, "RedundantTargetPlatform",
     "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
     "redundant-target-platform"},
    {Check::secrets_used_in_arg_or_env, "SecretsUsedInArgOrEnv",
     "Sensitive data should not be used in the ARG or ENV commands", "secrets-used-in-arg-or-env"},
    {Check::invalid_default_arg_in_from, "InvalidDefaultArgInFrom",
     "Default value for global ARG results in an empty or invalid base image name", "invalid-default-arg-in-from"},
    {Check::from_platform_flag_const_disallowed, "FromPlatformFlagConstDisallowed",
     "FROM --platform flag should not use a constant value", "from-platform-flag-const-disallowed"},
    {Check::copy_ignored_file, "CopyIgnoredFile",
     "Attempting to Copy file that is excluded by .dockerignore", "copy-ignored-file"},
    {Check::invalid_definition_description, "InvalidDefinitionDescription",
     "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not "
     "intended to be a description comment, add an empty line or comment between the instruction and the comment.",
     "invalid-definition-description", true},
    {Check::expose_proto_casing, "ExposeProtoCasing",
     "Protocol in EXPOSE instruction should be lowercase", "expose-proto-casing"},
    {Check::expose_invalid_format, "ExposeInvalidFormat",
     "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future "
     "release", "expose-invalid-format"},
}};
// clang-format on

}  // namespace

std::string CheckRule::url() const {
  if (check == Check::invalid_base_image_platform) return {};
  return cat("https://docs.docker.com/go/dockerfile/rule/", anchor, "/");
}

std::span<const CheckRule> check_rules() { return kRules; }

const CheckRule& rule_of(Check check) {
  const CheckRule& rule = kRules.at(static_cast<std::size_t>(check));
  CBUILD_CHECK(rule.check == check);
  return rule;
}

const CheckRule* find_rule(std::string_view name) {
  const auto found =
      std::find_if(kRules.begin(), kRules.end(), [&](const CheckRule& rule) { return rule.name == name; });
  return found == kRules.end() ? nullptr : &*found;
}

}  // namespace cbuild::frontend
