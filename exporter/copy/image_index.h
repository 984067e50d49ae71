// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "exporter/copy/image_place.h"
#include "oci/platform.h"

namespace cbuild::exporter {

/// An annotation of an index that is put together, or of its entries.
struct IndexAnnotation {
  std::string name, value;
  bool of_entries = false;
  std::optional<oci::Platform> platform;  ///< of_entries: of this platform only
};

/// "index:NAME=VALUE", "manifest-descriptor[PLATFORM]:NAME=VALUE". Throws Error{usage}.
IndexAnnotation parse_index_annotation(const std::string& text);

struct AssemblyOptions {
  std::vector<IndexAnnotation> annotations;
  std::vector<oci::Platform>
      platforms;             ///< entries of others, and attestations for them, are left out; empty: all stay
  bool prefer_index = true;  ///< a single manifest becomes an index, too
};

/// An image that lies in several places.
struct AssembledImage {
  ImageDocument image;
  std::map<Digest, ImagePlace*> places;  ///< of its manifests
};

/// Joins images and indexes to one index, as `imagetools create` does: entries in the order of `sources`, each digest
/// once, the platform of a manifest from its config. A single index without annotations stays as it is. All docker's
/// types: docker's manifest list, unless annotations are asked for, which it cannot have. Throws Error.
AssembledImage assemble_image(const std::vector<ImagePlace*>& sources, const AssemblyOptions& options);

}  // namespace cbuild::exporter
