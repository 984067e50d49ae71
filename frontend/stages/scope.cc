// SPDX-License-Identifier: Apache-2.0
// Variables: the global scope before the first FROM, and that of a stage. A value comes from --build-arg, else from the
// default in the file, else from the global scope; the order in which variables were last set is kept, because it is
// that of the environment. SOURCE_DATE_EPOCH is resolved to a number here, so that every later use sees the number.
#include "frontend/stages/scope.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "frontend/stages/lower_diagnostic.h"
#include "frontend/stages/source_epoch.h"

namespace cbuild::frontend {

namespace {

constexpr std::string_view kEpochArg = "SOURCE_DATE_EPOCH";

/// Arguments that steer the build and are not variables of its commands.
bool is_environment_arg(std::string_view name) {
  return name != "BUILDKIT_SBOM_SCAN_CONTEXT" && name != "BUILDKIT_SBOM_SCAN_STAGE";
}

std::string target_stage_name(const Dockerfile& dockerfile, const LowerOptions& options) {
  if (!options.target.empty()) return options.target;
  const std::string& last = dockerfile.stages.back().name;
  return last.empty() ? "default" : last;
}

Variables automatic_args(const Dockerfile& dockerfile, const LowerOptions& options) {
  const oci::Platform& build = options.build_platform;
  const oci::Platform& target = options.target_platform;
  const std::pair<std::string_view, std::string> defaults[] = {{"BUILDPLATFORM", build.str()},
                                                               {"BUILDOS", build.os},
                                                               {"BUILDOSVERSION", build.os_version},
                                                               {"BUILDARCH", build.architecture},
                                                               {"BUILDVARIANT", build.variant},
                                                               {"TARGETPLATFORM", target.str()},
                                                               {"TARGETOS", target.os},
                                                               {"TARGETOSVERSION", target.os_version},
                                                               {"TARGETARCH", target.architecture},
                                                               {"TARGETVARIANT", target.variant},
                                                               {"TARGETSTAGE", target_stage_name(dockerfile, options)}};
  Variables out;
  for (const auto& [name, value] : defaults) {
    const auto given = options.build_args.find(std::string(name));
    out.set(name, given == options.build_args.end() ? value : given->second);
  }
  return out;
}

void evaluate_global(GlobalScope& scope, const ArgInstruction::Item& item, char escape) {
  const std::string& name = item.name.value;
  if (const auto given = scope.build_args.find(name); given != scope.build_args.end()) {
    scope.args.set(name, given->second);
  } else if (item.default_value) {
    const Text& word = *item.default_value;
    scope.args.set(name, at(word.span, [&] {
                     return expand_word(word.value, scope.args.environment(), {.escape = escape}).text;
                   }));
  }
}

void evaluate_globals(GlobalScope& scope, const Dockerfile& dockerfile) {
  for (const Instruction& instruction : dockerfile.global_args) {
    for (const ArgInstruction::Item& item : std::get<ArgInstruction>(instruction.body).items) {
      evaluate_global(scope, item, dockerfile.escape);
    }
  }
}

/// The value in force, if any: the user's beats the file's; an empty default counts as none.
std::optional<std::string> epoch_text(const GlobalScope& scope) {
  const auto given = scope.build_args.find(std::string(kEpochArg));
  if (given != scope.build_args.end()) return given->second;
  const std::string* value = scope.args.find(kEpochArg);
  if (value == nullptr || value->empty()) return std::nullopt;
  return *value;
}

/// Replaces the argument by the resolved number wherever it has a value; no number: as if it was not given.
void set_epoch(GlobalScope& scope) {
  const std::string name(kEpochArg);
  if (!scope.source_date_epoch) {
    scope.build_args.erase(name);
    scope.args.erase(kEpochArg);
    return;
  }
  const std::string number = std::to_string(*scope.source_date_epoch);
  if (scope.build_args.contains(name)) scope.build_args[name] = number;
  if (scope.args.find(kEpochArg) != nullptr) scope.args.set(kEpochArg, number);
}

Span epoch_span(const Dockerfile& dockerfile) {
  for (const Instruction& instruction : dockerfile.global_args) {
    for (const ArgInstruction::Item& item : std::get<ArgInstruction>(instruction.body).items) {
      if (item.name.value == kEpochArg) return item.name.span;
    }
  }
  return {};
}

void resolve_epoch(GlobalScope& scope, const Dockerfile& dockerfile, const LowerOptions& options) {
  const std::optional<std::string> text = epoch_text(scope);
  if (!text) return;
  if (!text->empty()) {
    std::string_view digits = *text;
    if (digits.starts_with('+')) digits.remove_prefix(1);
    scope.source_date_epoch = parse_int(digits);
    if (!scope.source_date_epoch) {
      scope.source_date_epoch =
          at(epoch_span(dockerfile), [&] { return source_epoch(*text, scope.args, dockerfile, options); });
    }
  }
  set_epoch(scope);
}

}  // namespace

void Variables::set(std::string_view name, std::string value) {
  erase(name);
  places_.emplace(name, entries_.size());
  entries_.emplace_back(std::in_place, std::string(name), std::move(value));
}

void Variables::set_all(std::span<const std::string> assignments) {
  for (const std::string& assignment : assignments) {
    const auto [name, value] = split_assignment(assignment);
    set(name, std::string(value));
  }
}

void Variables::erase(std::string_view name) {
  const auto place = places_.find(std::string(name));
  if (place == places_.end()) return;
  entries_[place->second].reset();
  places_.erase(place);
  constexpr std::size_t kFewGaps = 64;
  if (entries_.size() > 2 * places_.size() + kFewGaps) drop_gaps();
}

void Variables::drop_gaps() {
  std::erase_if(entries_, [](const auto& entry) { return !entry; });
  for (std::size_t i = 0; i < entries_.size(); ++i) places_[entries_[i]->first] = i;
}

const std::string* Variables::find(std::string_view name) const {
  const auto place = places_.find(std::string(name));
  return place == places_.end() ? nullptr : &entries_[place->second]->second;
}

std::vector<std::string> Variables::names() const {
  std::vector<std::string> out;
  out.reserve(places_.size());
  for (const auto& entry : entries_)
    if (entry) out.push_back(entry->first);
  return out;
}

std::vector<std::string> Variables::assignments() const {
  std::vector<std::string> out;
  out.reserve(places_.size());
  for (const auto& entry : entries_)
    if (entry) out.push_back(cat(entry->first, "=", entry->second));
  return out;
}

Environment Variables::environment() const {
  return [this](std::string_view name) -> std::optional<std::string> {
    const std::string* value = find(name);
    if (value == nullptr) return std::nullopt;
    return *value;
  };
}

std::pair<std::string_view, std::string_view> split_assignment(std::string_view entry) {
  const std::size_t equals = entry.find('=');
  if (equals == std::string_view::npos) return {entry, {}};
  return {entry.substr(0, equals), entry.substr(equals + 1)};
}

GlobalScope make_global_scope(const Dockerfile& dockerfile, const LowerOptions& options) {
  GlobalScope scope{automatic_args(dockerfile, options), options.build_args, std::nullopt};
  evaluate_globals(scope, dockerfile);
  resolve_epoch(scope, dockerfile, options);
  return scope;
}

Variables default_global_args(const Dockerfile& dockerfile, const LowerOptions& options) {
  GlobalScope scope{automatic_args(dockerfile, options), {}, std::nullopt};
  evaluate_globals(scope, dockerfile);
  return std::move(scope.args);
}

std::string declare_arg(StageScope& scope, const ArgInstruction::Item& item, const GlobalScope& globals, char escape,
                        std::vector<std::string>* unset) {
  const std::string& name = item.name.value;
  std::optional<std::string> value;
  if (const auto given = globals.build_args.find(name); given != globals.build_args.end()) {
    value = given->second;
  } else if (item.default_value) {
    Expansion expansion = at(item.default_value->span, [&] {
      return expand_word(item.default_value->value, scope.variables.environment(), {.escape = escape});
    });
    value = std::move(expansion.text);
    if (unset != nullptr) *unset = std::move(expansion.unset);
  } else if (const std::string* inherited = globals.args.find(name)) {
    value = *inherited;
  }
  if (value && is_environment_arg(name)) scope.variables.set(name, *value);
  scope.declared.push_back({name, value});
  return value ? cat(name, "=", *value) : name;
}

std::vector<std::string> proxy_environment(const std::map<std::string, std::string>& build_args) {
  static constexpr std::array<std::string_view, 5> kNames = {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY",
                                                             "ALL_PROXY"};
  std::vector<std::string> out;
  for (const std::string_view name : kNames) {
    std::string value;  // among several spellings the last one in byte order counts
    for (const auto& [key, given] : build_args) {
      if (iequals(key, name)) value = given;
    }
    if (value.empty()) continue;
    out.push_back(cat(name, "=", value));
    out.push_back(cat(to_lower(name), "=", value));
  }
  return out;
}

}  // namespace cbuild::frontend
