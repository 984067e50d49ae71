// SPDX-License-Identifier: Apache-2.0
// The checks that need more than the syntax: the scope, the config so far, the ignore file or the base image. They are
// called by the instruction that they are about, while it is lowered. Rules and wording are BuildKit's
// (docs/checks.md).
#include "frontend/lower/check_stage.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/error.h"
#include "base/pattern/path_pattern.h"
#include "base/text.h"

namespace cbuild::frontend {
namespace {

void report(const StageLowering& stage, Check check, std::string message) {
  stage.build.checks.report(check, stage.span(), stage.instruction->comment, std::move(message));
}

const std::string& keyword(const StageLowering& stage) { return stage.instruction->keyword.value; }

/// Whether one of the words between the underscores of `name` is in `words`, in any case.
template <std::size_t N>
bool has_word(std::string_view name, const std::array<std::string_view, N>& words) {
  const std::vector<std::string> parts = split(name, '_');
  return std::any_of(parts.begin(), parts.end(), [&](const std::string& part) {
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return iequals(part, word); });
  });
}

/// The root is excluded only by a pattern that excludes all.
bool excludes_all(const PathPatternList& ignore) {
  const std::vector<std::string>& patterns = ignore.patterns();
  return std::any_of(patterns.begin(), patterns.end(),
                     [](const std::string& pattern) { return pattern == "*" || pattern == "**" || pattern == "**/*"; });
}

/// Of the build context, for this stage; nullptr if a pattern is malformed, which is reported where the context is
/// read.
const PathPatternList* ignored_paths(const StageLowering& stage) {
  BuildState& build = stage.build;
  const std::string& name = stage.info.syntax->name;
  const auto known = build.context_ignores.find(name);
  if (known != build.context_ignores.end()) return &known->second;
  try {
    return &build.context_ignores.emplace(name, build.sources.context_patterns(name)).first->second;
  } catch (const Error&) {
    return nullptr;
  }
}

/// Steers the build and is not a variable of it.
bool is_build_setting(std::string_view name) {
  return name == "BUILDKIT_SBOM_SCAN_CONTEXT" || name == "BUILDKIT_SBOM_SCAN_STAGE";
}

}  // namespace

void check_undefined(const StageLowering& stage, const std::vector<std::string>& unset) {
  const StageScope& scope = stage.state.scope;
  for (const std::string& name : unset) {
    const bool declared = std::any_of(scope.declared.begin(), scope.declared.end(),
                                      [&](const DeclaredArg& arg) { return arg.name == name; });
    if (declared || is_build_setting(name)) continue;
    const std::string near = near_name(name, scope.variables.names());
    report(stage, Check::undefined_var,
           cat("Usage of undefined variable '$", name, "'", near.empty() ? "" : cat(" (did you mean $", near, "?)")));
  }
}

bool sounds_secret(std::string_view name) {
  constexpr std::array<std::string_view, 10> kSecret = {"apikey",   "auth",  "credential", "credentials", "key",
                                                        "password", "pword", "passwd",     "secret",      "token"};
  constexpr std::array<std::string_view, 3> kHarmless = {"public", "file", "version"};
  return has_word(name, kSecret) && !has_word(name, kHarmless);
}

void check_secret_name(const StageLowering& stage, std::string_view word, std::string_view name) {
  if (!sounds_secret(name)) return;
  report(stage, Check::secrets_used_in_arg_or_env,
         cat("Do not use ARG or ENV instructions for sensitive data (", word, " ", go_quote(name), ")"));
}

void check_command_form(const StageLowering& stage, const CommandLine& command) {
  const auto& shell = stage.state.image.config.shell;
  if (command.exec_form || (shell && !shell->empty())) return;
  report(
      stage, Check::json_args_recommended,
      cat("JSON arguments recommended for ", keyword(stage), " to prevent unintended behavior related to OS signals"));
}

void check_used_once(const StageLowering& stage, EarlierInstruction& earlier) {
  if (earlier.instruction != nullptr) {
    std::vector<std::string> comments = earlier.instruction->comment;
    std::copy(stage.instruction->comment.begin(), stage.instruction->comment.end(), std::back_inserter(comments));
    stage.build.checks.report(Check::multiple_instructions_disallowed, earlier.span, comments,
                              cat("Multiple ", keyword(stage),
                                  " instructions should not be used in the same stage because only the last one will "
                                  "be used"));
  }
  earlier = {stage.instruction, stage.span()};
}

void check_key_values(const StageLowering& stage, bool legacy) {
  if (!legacy) return;
  const std::string& word = keyword(stage);
  report(stage, Check::legacy_key_value_format,
         cat("\"", word, " key=value\" should be used instead of legacy \"", word, " key value\" format"));
}

void check_workdir(StageLowering& stage, const std::string& path) {
  if (!stage.state.workdir_set && !path.starts_with('/')) {
    report(stage, Check::workdir_relative_path,
           cat("Relative workdir ", go_quote(path), " can have unexpected results if the base image changes"));
  }
  stage.state.workdir_set = true;
}

void check_copy_source(const StageLowering& stage, bool add, const std::string& source) {
  const PathPatternList* const ignore = ignored_paths(stage);
  if (ignore == nullptr || ignore->empty() || ignore->has_negation()) return;
  const std::string path = clean_path(source);
  if ((path == "." || path == "/") ? !excludes_all(*ignore) : !ignore->matches(path)) return;
  report(stage, Check::copy_ignored_file,
         cat("Attempting to ", add ? "Add" : "Copy", " file ", go_quote(path), " that is excluded by .dockerignore"));
}

void check_exposed_port(const StageLowering& stage, const std::string& port) {
  const std::size_t colon = port.rfind(':');
  const std::size_t slash = port.find('/', colon == std::string::npos ? 0 : colon);
  const std::string protocol = slash == std::string::npos ? "" : port.substr(slash + 1);
  if (protocol != to_lower(protocol)) {
    report(stage, Check::expose_proto_casing,
           cat("Defined protocol '", port, "' in EXPOSE instruction should be lowercase"));
  }
  const std::string host = colon == std::string::npos ? "" : port.substr(0, colon);
  if (host.empty() || host == ":") return;
  report(stage, Check::expose_invalid_format,
         cat("EXPOSE instruction should not define an IP address or host-port mapping, found '", port, "'"));
}

void check_base_platform(const Instruction& where, const Span& span, const std::string& reference,
                         const ResolvedBase& base, Checks& checks) {
  if (!base.image || base.context || base.image->config.diff_ids.empty()) return;
  const oci::Platform& found = base.image->config.platform;
  const oci::Platform& wanted = base.wanted;
  if (found.os == wanted.os && found.architecture == wanted.architecture) return;
  checks.report(Check::invalid_base_image_platform, span, where.comment,
                cat("Base image ", reference, " was pulled with platform ", go_quote(oci::normalize(found).str()),
                    ", expected ", go_quote(oci::normalize(wanted).str()), " for current build"));
}

}  // namespace cbuild::frontend
