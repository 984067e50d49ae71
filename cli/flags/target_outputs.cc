// SPDX-License-Identifier: Apache-2.0
// Gives every target its outputs and names when several are built: "{target}" is replaced, an output without target=
// goes to each target, and one to a directory gets a subdirectory for each. Two targets that would write to one file or
// one name are refused before anything runs.
#include "cli/flags/target_outputs.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"

namespace cbuild::cli {
namespace {

using exporter::Output;

[[noreturn]] void refuse_target(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

/// The spelling in `targets` of a target that `flag` names.
const std::string& find_target(const std::string& name, const std::vector<std::string>& targets,
                               std::string_view flag) {
  const auto found =
      std::find_if(targets.begin(), targets.end(), [&](const std::string& target) { return iequals(target, name); });
  if (found != targets.end()) return *found;
  if (targets == std::vector<std::string>{""})
    refuse_target(cat(flag, ": no --target ", name, " is built"), cat("add --target ", name));
  refuse_target(cat(flag, ": no --target ", name, " is built"), word_hint(to_lower(name), targets, "targets"));
}

/// Names by target. References hold no "=", so the text before one is a target.
std::map<std::string, std::vector<std::string>> names_by_target(const std::vector<std::string>& tags,
                                                                const std::vector<std::string>& targets) {
  std::map<std::string, std::vector<std::string>> names;
  for (const std::string& tag : tags) {
    const std::size_t equals = tag.find('=');
    if (equals != std::string::npos) {
      const std::string target = find_target(tag.substr(0, equals), targets, "-t");
      names[target].push_back(for_target(tag.substr(equals + 1), target));
      continue;
    }
    if (targets.size() > 1 && tag.find(kTargetPlaceholder) == std::string::npos)
      refuse_target(
          cat("-t ", tag, " would name ", targets.size(), " targets"),
          cat("-t ", targets.front(), "=", tag, " names one, ", kTargetPlaceholder, " in the name stands for each"));
    for (const std::string& target : targets) names[target].push_back(for_target(tag, target));
  }
  return names;
}

Output output_for(Output output, const std::string& target, const std::vector<std::string>& names, bool shared) {
  const bool placed = output.dest.find(kTargetPlaceholder) != std::string::npos;
  output.target = target;
  output.dest = for_target(output.dest, target);
  if (shared && !placed && is_directory(output)) output.dest = cat(output.dest, '/', target);
  for (std::string& name : output.names) name = for_target(name, target);
  if (names.empty()) return output;
  if (makes_image(output) && output.names != names) output.replaced_names = output.names;
  output.names = names;
  return output;
}

/// Two targets must not end under one name or in one file; the same one of one target may go there twice.
class Places {
 public:
  void take(const Output& output) {
    if (!output.dest.empty()) claim(cat("--output ", output.dest == "-" ? "to stdout" : output.dest), output.target);
    if (output.dest == "-" && std::exchange(stdout_taken_, true)) refuse_target("--output: stdout is named twice");
    for (const std::string& name : output.names) claim(cat("the name ", name), output.target);
  }

 private:
  void claim(const std::string& place, const std::string& target) {
    const auto [found, is_new] = owners_.emplace(place, target);
    if (is_new || found->second == target) return;
    refuse_target(cat(place, " would hold both target ", found->second, " and ", target),
                  cat("add target=NAME to the output, or ", kTargetPlaceholder, " to its dest or name"));
  }

  std::map<std::string, std::string> owners_;
  bool stdout_taken_ = false;
};

}  // namespace

std::string for_target(std::string text, const std::string& target) {
  if (target.empty()) return text;
  for (std::size_t at = text.find(kTargetPlaceholder); at != std::string::npos;
       at = text.find(kTargetPlaceholder, at + target.size()))
    text.replace(at, kTargetPlaceholder.size(), target);
  return text;
}

std::vector<std::string> parse_targets(const std::vector<std::string>& values) {
  std::vector<std::string> targets;
  for (const std::string& value : values) {
    for (const std::string& name : split(value, ',')) {
      if (name.empty() && values.size() == 1 && value.empty()) continue;
      if (name.empty()) refuse_target(cat("--target: '", value, "' has an empty name"));
      if (std::none_of(targets.begin(), targets.end(), [&](const std::string& t) { return iequals(t, name); }))
        targets.push_back(name);
    }
  }
  return targets.empty() ? std::vector<std::string>{""} : targets;
}

std::vector<Output> spread_outputs(const std::vector<Output>& outputs, const std::vector<std::string>& tags,
                                   const std::vector<std::string>& targets, const Output& fallback) {
  std::map<std::string, std::vector<std::string>> names = names_by_target(tags, targets);
  for (const Output& output : outputs)
    if (!output.target.empty()) find_target(output.target, targets, "--output");
  std::vector<Output> spread;
  Places places;
  for (const std::string& target : targets) {
    const std::size_t before = spread.size();
    for (const Output& output : outputs) {
      if (!output.target.empty() && !iequals(output.target, target)) continue;
      spread.push_back(output_for(output, target, names[target], targets.size() > 1 && output.target.empty()));
      places.take(spread.back());
    }
    if (spread.size() > before) continue;
    spread.push_back(output_for(fallback, target, names[target], false));
    places.take(spread.back());
  }
  return spread;
}

}  // namespace cbuild::cli
