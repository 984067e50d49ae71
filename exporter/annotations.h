// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/descriptor.h"
#include "oci/platform.h"

namespace cbuild::exporter {

/// Which document of an image an annotation belongs to.
enum class AnnotationLevel {
  manifest,             ///< the image's manifest
  manifest_descriptor,  ///< of the manifest: an entry of an index, of a layout's index.json
  index,                ///< the image index; of several platforms
  index_descriptor,     ///< of the image index
};

/// One annotation as the user asked for it.
struct Annotation {
  AnnotationLevel level = AnnotationLevel::manifest;
  std::optional<oci::Platform> platform;  ///< only of an image for this one
  std::string key, value;

  bool operator==(const Annotation&) const = default;
};

/// Parses "[LEVEL[PLATFORM],...:]KEY=VALUE", as --annotation has it (PLATFORM in square brackets, optional): one for
/// each level. Throws Error{usage}.
std::vector<Annotation> parse_annotation(std::string_view text);

/// Parses a key of --output: "annotation[-LEVEL][[PLATFORM]].KEY"; nullopt for other keys. Throws Error{usage} for a
/// wrong level or platform.
std::optional<Annotation> parse_annotation_key(std::string_view key, std::string value);

/// What is written, as far as annotations depend on it.
struct AnnotatedResult {
  std::vector<oci::Platform> platforms;  ///< one image each
  bool index = false;                    ///< they are under an index
  bool oci_media_types = true;
};

/// Refuses, as BuildKit does, annotations that have no place in the result: those of an index that is not made or of
/// a platform that is not built, and those of all but manifests without OCI media types. Throws Error{usage}.
void check_annotations(const std::vector<Annotation>& annotations, const AnnotatedResult& result);

/// Those of a level for the image of `platform`: for all platforms, then for this one; of several for one key the last.
oci::Annotations annotations_of(const std::vector<Annotation>& annotations, AnnotationLevel level,
                                const oci::Platform& platform);
/// Those of the index or of its descriptor.
oci::Annotations index_annotations_of(const std::vector<Annotation>& annotations, AnnotationLevel level);

}  // namespace cbuild::exporter
