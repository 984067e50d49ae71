// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/flags.h"

#include <algorithm>
#include <string>

#include "base/text.h"

namespace cbuild::frontend {
namespace {

void report_unknown(const Flag& flag, std::span<const FlagSpec> specs, Report& report) {
  std::vector<std::string> names;
  for (const FlagSpec& spec : specs) names.emplace_back(spec.name);
  std::string hint;
  if (const auto near = suggest(flag.name.value, names)) {
    hint = cat("did you mean ", *near, "?");
  } else if (!names.empty()) {
    hint = cat("flags of this instruction: --", join(names, ", --"));
  }
  report.error(flag.name.span, cat("unknown flag: --", flag.name.value), std::move(hint));
}

bool check_value(const Flag& flag, FlagKind kind, Report& report) {
  const std::string name = "--" + flag.name.value;
  if (kind != FlagKind::boolean) {
    if (flag.value) return true;
    report.error(flag.name.span, cat("missing a value on flag: ", name), cat("write ", name, "=<value>"));
    return false;
  }
  if (!flag.value) return true;
  if (flag.value->value.empty()) {
    report.error(flag.name.span, cat("missing a value on flag: ", name), cat("write ", name, " or ", name, "=false"));
    return false;
  }
  if (iequals(flag.value->value, "true") || iequals(flag.value->value, "false")) return true;
  report.error(flag.value->span, cat("expecting boolean value for flag ", name, ", not: ", flag.value->value));
  return false;
}

}  // namespace

FlagSet::FlagSet(const std::vector<Flag>& flags, std::span<const FlagSpec> specs, Report& report) {
  for (const Flag& flag : flags) {
    const auto spec =
        std::find_if(specs.begin(), specs.end(), [&](const FlagSpec& s) { return s.name == flag.name.value; });
    if (spec == specs.end()) {
      report_unknown(flag, specs, report);
      continue;
    }
    const bool repeated =
        std::any_of(known_.begin(), known_.end(), [&](const Flag* other) { return other->name == flag.name; });
    if (repeated && spec->kind != FlagKind::list) {
      report.error(flag.name.span, cat("duplicate flag specified: --", flag.name.value));
      continue;
    }
    if (check_value(flag, spec->kind, report)) known_.push_back(&flag);
  }
}

std::optional<Text> FlagSet::text(std::string_view name) const {
  for (const Flag* flag : known_) {
    if (flag->name.value == name && !flag->value->value.empty()) return flag->value;
  }
  return std::nullopt;
}

std::vector<Text> FlagSet::list(std::string_view name) const {
  std::vector<Text> values;
  for (const Flag* flag : known_) {
    if (flag->name.value == name && flag->value) values.push_back(*flag->value);
  }
  return values;
}

std::optional<bool> FlagSet::boolean(std::string_view name) const {
  for (const Flag* flag : known_) {
    if (flag->name.value == name) return !flag->value || iequals(flag->value->value, "true");
  }
  return std::nullopt;
}

void reject_flags(const std::vector<Flag>& flags, Report& report) { FlagSet(flags, {}, report); }

}  // namespace cbuild::frontend
