// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "exporter/copy/image_facts.h"

namespace cbuild::cli {

/// The head and, of an index, its entries, as `docker buildx imagetools inspect` prints them.
void print_manifest(std::ostream& out, const std::string& name, const exporter::ImageDocument& image);
/// Everything about the image of one platform: config, layers, history, attestations.
void print_platform_image(std::ostream& out, const exporter::PlatformImage& image);
void print_referrers(std::ostream& out, const std::vector<exporter::Referrer>& referrers);

/// The value of .Manifest: what the name leads to; an index with its entries, a manifest with config and layers.
nlohmann::ordered_json manifest_json(const exporter::ImageDocument& image);

}  // namespace cbuild::cli
