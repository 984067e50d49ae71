// SPDX-License-Identifier: Apache-2.0
#include "exporter/annotations.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"

namespace cbuild::exporter {
namespace {

constexpr Word<AnnotationLevel> kLevels[] = {{"manifest", AnnotationLevel::manifest},
                                             {"manifest-descriptor", AnnotationLevel::manifest_descriptor},
                                             {"index", AnnotationLevel::index},
                                             {"index-descriptor", AnnotationLevel::index_descriptor}};

[[noreturn]] void refuse_annotation(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

AnnotationLevel parse_level(std::string_view name) {
  if (const auto level = find_word(kLevels, name)) return *level;
  refuse_annotation(cat("unknown annotation level '", name, "'"), word_hint(name, names_of(kLevels), "levels"));
}

/// "LEVEL[PLATFORM]"; an empty level is the manifest.
Annotation parse_place(std::string_view text) {
  Annotation annotation;
  const std::size_t bracket = text.find('[');
  const std::string_view level = text.substr(0, bracket);
  if (!level.empty()) annotation.level = parse_level(level);
  if (bracket == std::string_view::npos) return annotation;
  if (!text.ends_with(']')) refuse_annotation(cat("annotation '", text, "' lacks a closing bracket"));
  const std::string_view platform = text.substr(bracket + 1, text.size() - bracket - 2);
  annotation.platform = oci::parse_platform(platform);
  if (!annotation.platform)
    refuse_annotation(cat("annotation: unknown platform '", platform, "'"),
                      "for example manifest[linux/arm64]:KEY=VALUE");
  return annotation;
}

bool is_of_index(AnnotationLevel level) {
  return level == AnnotationLevel::index || level == AnnotationLevel::index_descriptor;
}

bool is_for(const Annotation& annotation, const oci::Platform& platform) {
  return !annotation.platform || oci::normalize(*annotation.platform) == oci::normalize(platform);
}

}  // namespace

std::vector<Annotation> parse_annotation(std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  if (equals == std::string_view::npos) refuse_annotation(cat("--annotation: '", text, "' is not KEY=VALUE"));
  const std::size_t colon = name.find(':');
  const std::string places(colon == std::string_view::npos ? std::string_view("manifest") : name.substr(0, colon));
  std::vector<Annotation> out;
  for (const std::string& place : split(places, ',')) {
    if (place.empty()) refuse_annotation(cat("--annotation: '", text, "' has an empty level"));
    out.push_back(parse_place(place));
    out.back().key = colon == std::string_view::npos ? name : name.substr(colon + 1);
    out.back().value = text.substr(equals + 1);
    if (out.back().key.empty()) refuse_annotation(cat("--annotation: '", text, "' has no key"));
  }
  return out;
}

std::optional<Annotation> parse_annotation_key(std::string_view key, std::string value) {
  constexpr std::string_view kPrefix = "annotation";
  if (!key.starts_with(kPrefix)) return std::nullopt;
  std::string_view place = key.substr(kPrefix.size());
  const std::size_t dot = place.find('.');
  if (dot == std::string_view::npos || dot + 1 == place.size()) return std::nullopt;
  const std::string_view name = place.substr(dot + 1);
  place = place.substr(0, dot);
  if (!place.empty() && place[0] != '-' && place[0] != '[') return std::nullopt;
  if (place.starts_with('-')) place.remove_prefix(1);
  Annotation annotation = parse_place(place);
  annotation.key = name;
  annotation.value = std::move(value);
  return annotation;
}

void check_annotations(const std::vector<Annotation>& annotations, const AnnotatedResult& result) {
  for (const Annotation& one : annotations) {
    if (one.level != AnnotationLevel::manifest && !result.oci_media_types)
      refuse_annotation(cat("annotation ", one.key, ": level ", word_for(kLevels, one.level), " needs OCI media types"),
                        "drop oci-mediatypes=false");
    if (is_of_index(one.level) && !result.index)
      refuse_annotation(cat("annotation ", one.key, ": an image of one platform has no ", word_for(kLevels, one.level)),
                        "use manifest: or manifest-descriptor:");
    const auto is_meant = [&](const oci::Platform& platform) { return is_for(one, platform); };
    if (std::none_of(result.platforms.begin(), result.platforms.end(), is_meant))
      refuse_annotation(cat("annotation ", one.key, ": no image for ", one.platform->str(), " is built"));
  }
}

oci::Annotations annotations_of(const std::vector<Annotation>& annotations, AnnotationLevel level,
                                const oci::Platform& platform) {
  oci::Annotations out;
  for (const bool own : {false, true})
    for (const Annotation& one : annotations)
      if (one.level == level && one.platform.has_value() == own && is_for(one, platform)) out[one.key] = one.value;
  return out;
}

oci::Annotations index_annotations_of(const std::vector<Annotation>& annotations, AnnotationLevel level) {
  oci::Annotations out;
  for (const Annotation& one : annotations)
    if (one.level == level) out[one.key] = one.value;
  return out;
}

}  // namespace cbuild::exporter
