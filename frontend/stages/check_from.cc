// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/check_from.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "frontend/stages/lookup.h"
#include "oci/reference.h"

namespace cbuild::frontend {
namespace {

/// The variables of FROM: every ARG above the first one, with a value or not, and the automatic ones.
std::vector<std::string> known_arguments(const Dockerfile& dockerfile, const Variables& globals) {
  std::vector<std::string> names = globals.names();
  for (const Instruction& instruction : dockerfile.global_args) {
    for (const ArgInstruction::Item& item : std::get<ArgInstruction>(instruction.body).items) {
      names.push_back(item.name.value);
    }
  }
  return names;
}

void check_undefined(const Dockerfile& dockerfile, const Stage& stage, const WordUse& use, const Variables& globals,
                     Checks& checks) {
  if (use.unset.empty()) return;
  const std::vector<std::string> known = known_arguments(dockerfile, globals);
  for (const std::string& name : use.unset) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string near = near_name(name, known);
    checks.report(
        Check::undefined_arg_in_from, stage.from,
        cat("FROM argument '", name, "' is not declared", near.empty() ? "" : cat(" (did you mean ", near, "?)")));
  }
}

void check_target_platform(const Stage& stage, const Text& flag, const WordUse& use, const Variables& globals,
                           Checks& checks) {
  const std::string target = "TARGETPLATFORM";
  if (use.set != std::vector{target} || !use.unset.empty() || use.result != *globals.find(target)) return;
  checks.report(
      Check::redundant_target_platform, stage.from,
      cat("Setting platform to predefined ", flag.value, " in FROM is redundant as this is the default behavior"));
}

void check_constant_platform(const Stage& stage, const WordUse& use, Checks& checks) {
  if (!use.set.empty() || !use.unset.empty() || !use.result) return;
  const std::optional<oci::Platform> platform = oci::parse_platform(*use.result);
  if (!platform) return;
  const auto is_named = [&](const std::string& part) { return stage.name.find(part) != std::string::npos; };
  if (is_named(platform->os) || is_named(platform->architecture)) return;
  checks.report(Check::from_platform_flag_const_disallowed, stage.from,
                cat("FROM --platform flag should not use constant value ", go_quote(*use.result)));
}

bool names_an_image(const std::string& text) {
  try {
    oci::parse_reference(text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// Global arguments without the user's values; nullopt if they cannot be evaluated, which lowering reports.
std::optional<Variables> default_arguments(const Dockerfile& dockerfile, const LowerOptions& options) {
  try {
    return default_global_args(dockerfile, options);
  } catch (const DiagnosticError&) {
    return std::nullopt;
  }
}

}  // namespace

void check_from_variables(const Dockerfile& dockerfile, const Stage& stage, const Variables& globals, Checks& checks) {
  const auto& from = std::get<FromInstruction>(stage.from.body);
  check_undefined(dockerfile, stage, look_up(from.image, globals, dockerfile.escape), globals, checks);
  if (!from.platform || from.platform->value.empty()) return;
  const WordUse use = look_up(*from.platform, globals, dockerfile.escape);
  check_undefined(dockerfile, stage, use, globals, checks);
  check_target_platform(stage, *from.platform, use, globals, checks);
  check_constant_platform(stage, use, checks);
}

void check_default_arguments(const Dockerfile& dockerfile, const LowerOptions& options, Checks& checks) {
  const std::optional<Variables> defaults = default_arguments(dockerfile, options);
  if (!defaults) return;
  for (const Stage& stage : dockerfile.stages) {
    const Text& image = std::get<FromInstruction>(stage.from.body).image;
    const WordUse use = look_up(image, *defaults, dockerfile.escape);
    if (!use.result) return;
    if (names_an_image(*use.result)) continue;
    checks.report(Check::invalid_default_arg_in_from, stage.from,
                  cat("Default value for ARG ", image.value, " results in empty or invalid base image name"));
  }
}

}  // namespace cbuild::frontend
