// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/diagnostic.h"
#include "frontend/syntax/ast.h"
#include "frontend/syntax/include_map.h"

/// Build checks: warnings about a Dockerfile that builds. docs/checks.md describes every rule.
namespace cbuild::frontend {

enum class Check : std::uint8_t {
  stage_name_casing,
  from_as_casing,
  no_empty_continuation,
  consistent_instruction_casing,
  duplicate_stage_name,
  reserved_stage_name,
  json_args_recommended,
  maintainer_deprecated,
  undefined_arg_in_from,
  workdir_relative_path,
  undefined_var,
  multiple_instructions_disallowed,
  legacy_key_value_format,
  invalid_base_image_platform,
  redundant_target_platform,
  secrets_used_in_arg_or_env,
  invalid_default_arg_in_from,
  from_platform_flag_const_disallowed,
  copy_ignored_file,
  invalid_definition_description,
  expose_proto_casing,
  expose_invalid_format,
};

struct CheckRule {
  Check check;
  std::string_view name;  ///< as skip= has it
  std::string_view description;
  std::string_view anchor;    ///< of its section in docs/checks.md and of its page in Docker's documentation
  bool experimental = false;  ///< off unless asked for

  /// Page of the rule in Docker's documentation; empty where it has none.
  std::string url() const;
};

/// All rules, in the order of Check.
std::span<const CheckRule> check_rules();
const CheckRule& rule_of(Check check);
/// nullptr: there is no such rule.
const CheckRule* find_rule(std::string_view name);

/// "skip=A,B|all;experimental=A|all;error=BOOL": the value of "# check=" and of the build argument
/// BUILDKIT_DOCKERFILE_CHECK.
struct CheckOptions {
  bool skip_all = false, experimental_all = false;
  bool error = false;  ///< a finding is an error
  std::set<std::string, std::less<>> skip, experimental;

  bool allows(const CheckRule& rule) const;
  /// Adds the options that comments above an instruction give with "check=...", but for error=. A comment that is
  /// malformed says nothing.
  void merge_comments(const std::vector<std::string>& comments);

  bool operator==(const CheckOptions&) const = default;
};

/// Throws Error{input} with BuildKit's texts.
CheckOptions parse_check_options(std::string_view text);
/// A note at `span` for each name in `options` that is not a rule's.
std::vector<Diagnostic> unknown_rule_notes(const CheckOptions& options, const Span& span);

/// Collects findings. Those that an instruction is spared ("# check=skip=X" above it) are dropped, and so are those
/// found before at the same place.
class Checks {
 public:
  Checks() = default;
  explicit Checks(CheckOptions options) : options_(std::move(options)), chosen_(true) {}
  /// Finds nothing.
  static Checks none();

  /// Takes the options of the file, unless the constructor was given some.
  void set_file_options(CheckOptions options);
  bool has_own_options() const { return chosen_; }
  /// For the order of findings().
  void set_includes(IncludeMap includes) { includes_ = std::move(includes); }

  void report(Check check, const Instruction& where, std::string message);
  /// For a finding whose place is not the instruction with the comment about checks to skip.
  void report(Check check, const Span& span, const std::vector<std::string>& comments, std::string message);

  /// Warnings in the order of the file, `rule` set.
  std::vector<Diagnostic> findings() const;
  /// With error=true and findings: throws DiagnosticError with the names of the violated rules.
  void throw_if_errors() const;

 private:
  CheckOptions options_;
  bool chosen_ = false;
  IncludeMap includes_;
  std::vector<Diagnostic> found_;
  std::set<std::tuple<Check, const SourceText*, std::size_t, std::string>> seen_;
};

/// A finding on one line: "StageNameCasing: Stage name 'A' should be lowercase (line 3)".
std::string finding_line(const Diagnostic& finding);

/// The nearest of `candidates` by at most two edits, for the messages of checks; empty if there is none or one is
/// equal. (The hints of errors use suggest(), which is more tolerant.)
std::string near_name(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace cbuild::frontend
