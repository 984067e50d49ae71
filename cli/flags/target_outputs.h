// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "exporter/outputs.h"

namespace cbuild::cli {

/// Stands for the target's name in the dest and the names of an output, and in --iidfile.
inline constexpr std::string_view kTargetPlaceholder = "{target}";

/// `text` with the placeholder replaced; as it is for the target without a name.
std::string for_target(std::string text, const std::string& target);

/// The stages that --target asks for (repeated, or with commas): each once, in the order given; none: {""}, the last of
/// the file. Throws Error{usage} for an empty name.
std::vector<std::string> parse_targets(const std::vector<std::string>& values);

/// The outputs for `targets` from -t and the --outputs: each for one target, grouped by target. An output that names no
/// target is made for each, a directory as a subdirectory of the target's name; a target that is left without one gets
/// `fallback`. Tags ("NAME", with several targets "TARGET=NAME" or with the placeholder) become the names of outputs
/// that have none of their own. Throws Error{usage} for targets that are not built, and for places that two targets
/// would write to the same place or name.
std::vector<exporter::Output> spread_outputs(const std::vector<exporter::Output>& outputs,
                                             const std::vector<std::string>& tags,
                                             const std::vector<std::string>& targets, const exporter::Output& fallback);

}  // namespace cbuild::cli
