// SPDX-License-Identifier: Apache-2.0
#include "cli/metadata.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/text.h"
#include "cli/report/warning_json.h"
#include "oci/reference.h"

namespace cbuild::cli {

namespace {

using MetadataObject = nlohmann::ordered_json;

void add_provenance(MetadataObject& json, const BuildLine& line, const engine::TargetImage& image) {
  if (line.metadata_provenance == MetadataProvenance::none) return;
  const auto& wanted = line.request.outputs.attestations.provenance;  // as buildx: also where images have none
  const supply::ProvenanceSettings settings = wanted.value_or(supply::ProvenanceSettings());
  for (const engine::TargetProvenance& one : image.provenances)
    json[cat("buildx.build.provenance", one.platform.empty() ? "" : "/", one.platform)] = MetadataObject::parse(
        supply::to_metadata(*one.document, settings, line.metadata_provenance == MetadataProvenance::max));
}

/// As BuildKit's exporters tell them: those of archives whole, others as the user wrote them. Each once.
void add_names(const exporter::Output& output, const Digest& top, bool whole, std::vector<std::string>& names) {
  const auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const std::string& name : output.names) add(whole ? oci::parse_reference(name).str() : name);
  if (!output.dangling_prefix.empty() && (output.names.empty() || !output.dangling_only))
    add(cat(output.dangling_prefix, "@", top.str()));
}

/// As buildx has it of the docker driver: an image that is only in the engine has the id that the engine gives it.
bool is_only_loaded(const BuildLine& line, const std::string& target) {
  if (!line.loads_by_default) return false;
  bool loaded = false;
  for (const exporter::Output& output : line.request.outputs.list) {
    if (output.target != target) continue;
    if (output.push) return false;
    loaded = loaded || (output.type == exporter::OutputType::docker && output.dest.empty());
  }
  return loaded;
}

MetadataObject target_metadata(const BuildLine& line, const engine::TargetImage& image, const std::string& build_id) {
  MetadataObject json = MetadataObject::object();
  add_provenance(json, line, image);
  if (!build_id.empty()) json["buildx.build.ref"] = cat("cbuild/cbuild/", build_id);
  if (!image.config.digest.empty()) json["containerimage.config.digest"] = image.config.digest.str();
  json["containerimage.descriptor"] = MetadataObject::parse(oci::to_json(image.manifest));
  const bool only_loaded = is_only_loaded(line, image.target);
  json["containerimage.digest"] = (only_loaded ? image.id : image.manifest.digest).str();
  std::vector<std::string> names;
  for (const exporter::Output& output : line.request.outputs.list)
    if (output.target == image.target)
      add_names(output, image.manifest.digest, only_loaded || exporter::makes_archive(output), names);
  if (!names.empty()) json["image.name"] = join(names, ",");
  return json;
}

}  // namespace

std::string metadata_json(const BuildLine& line, const engine::BuildResult& result) {
  MetadataObject json = MetadataObject::object();
  if (result.images.size() == 1) {
    json = target_metadata(line, result.images.front(), result.id);
  } else {
    for (const engine::TargetImage& image : result.images) json[image.target] = target_metadata(line, image, result.id);
  }
  if (line.metadata_warnings && !result.findings.empty()) {
    MetadataObject& list = json["buildx.build.warnings"] = MetadataObject::array();
    for (const Diagnostic& finding : result.findings) list.push_back(warning_json(finding));
  }
  if (result.cache_manifest) json["cache.manifest"] = oci::to_json(*result.cache_manifest);
  return json.dump(2, ' ', false, MetadataObject::error_handler_t::replace) + "\n";
}

}  // namespace cbuild::cli
