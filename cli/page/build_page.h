// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cache/store.h"
#include "engine/build_entry.h"

namespace cbuild::cli {

/// What a page shows of a build: {"build", "before", "images"}. The build is that of export_build(); `before` the one
/// of the same Dockerfile, target and name before it, null if history has none; `images` config and layers, where the
/// store still has the image.
nlohmann::ordered_json page_document(cache::Store& store, const engine::BuildEntry& build);

/// One HTML file that shows such a document, and needs nothing else. Its texts come from Dockerfiles and commands:
/// they are data, never markup.
std::string page_of(const nlohmann::ordered_json& document);

}  // namespace cbuild::cli
