// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "engine/build_entry.h"

namespace cbuild::cli {

enum class PictureFormat { dot, mermaid, json };

/// The steps of a build as a graph: stages as boxes around them, colours for their states ("cached", "ran", "failed",
/// "cancelled", "would-run", "not-needed"), times, and the longest way in red. Input 0, which a step works on, is a
/// solid line; other inputs are dashed. Same steps, same bytes; names may be hostile.
std::string draw_graph(const std::string& title, const std::vector<engine::StepEntry>& steps, PictureFormat format);

}  // namespace cbuild::cli
