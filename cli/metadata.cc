// SPDX-License-Identifier: Apache-2.0
#include "cli/metadata.h"

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/text.h"
#include "frontend/syntax/check.h"

namespace cbuild::cli {

namespace {

using MetadataObject = nlohmann::ordered_json;

MetadataObject target_metadata(const std::vector<exporter::Output>& outputs, const engine::TargetImage& image,
                               const std::string& build_id) {
  MetadataObject json = MetadataObject::object();
  if (!build_id.empty()) json["buildx.build.ref"] = cat("cbuild/cbuild/", build_id);
  json["containerimage.config.digest"] = image.config.digest.str();
  json["containerimage.descriptor"] = MetadataObject::parse(oci::to_json(image.manifest));
  json["containerimage.digest"] = image.manifest.digest.str();
  std::vector<std::string> names;
  for (const exporter::Output& output : outputs)
    if (output.target == image.target) names.insert(names.end(), output.names.begin(), output.names.end());
  if (!names.empty()) json["image.name"] = join(names, ",");
  return json;
}

MetadataObject place_of(const Span& span, std::size_t offset) { return {{"line", span.source->position(offset).line}}; }

/// As Go writes BuildKit's warning of a vertex: texts are bytes, so they are in base64.
MetadataObject warning_json(const Diagnostic& finding) {
  MetadataObject json = MetadataObject::object();
  const frontend::CheckRule* rule = frontend::find_rule(finding.rule);
  if (finding.span) json["vertex"] = sha256(finding.span.source->text()).str();
  json["level"] = 1;
  json["short"] = base64_encode(frontend::finding_line(finding));
  if (rule != nullptr) {
    json["detail"] = MetadataObject::array({base64_encode(rule->description)});
    if (!rule->url().empty()) json["url"] = rule->url();
  }
  if (!finding.span) return json;
  const SourceText& source = *finding.span.source;
  json["sourceInfo"] = {
      {"filename", source.name()}, {"data", base64_encode(source.text())}, {"language", "Dockerfile"}};
  const std::size_t last = finding.span.end > finding.span.begin ? finding.span.end - 1 : finding.span.begin;
  json["range"] = MetadataObject::array();
  json["range"].push_back(
      {{"start", place_of(finding.span, finding.span.begin)}, {"end", place_of(finding.span, last)}});
  return json;
}

}  // namespace

std::string metadata_json(const std::vector<exporter::Output>& outputs, const engine::BuildResult& result,
                          bool warnings) {
  MetadataObject json = MetadataObject::object();
  if (result.images.size() == 1) {
    json = target_metadata(outputs, result.images.front(), result.id);
  } else {
    for (const engine::TargetImage& image : result.images)
      json[image.target] = target_metadata(outputs, image, result.id);
  }
  if (warnings && !result.findings.empty()) {
    MetadataObject& list = json["buildx.build.warnings"] = MetadataObject::array();
    for (const Diagnostic& finding : result.findings) list.push_back(warning_json(finding));
  }
  return json.dump(2, ' ', false, MetadataObject::error_handler_t::replace) + "\n";
}

}  // namespace cbuild::cli
