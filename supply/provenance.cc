// SPDX-License-Identifier: Apache-2.0
// A provenance as a SLSA predicate, field by field what BuildKit writes: version 1 with its additions under names of
// their own ("buildkit_metadata"), and version 0.2, in which the same values have other places. mode=min leaves out
// what may tell more than the image itself: build arguments, labels, names of secrets, the steps and the Dockerfile.
// Whatever the mode, the texts of Provenance::hidden are replaced in every string.
#include "supply/provenance.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "oci/manifest.h"
#include "supply/redact.h"

namespace cbuild::supply {
namespace {

using PredicateJson = nlohmann::ordered_json;

constexpr std::string_view kBuildType1 =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
constexpr std::string_view kBuildType02 = "https://mobyproject.org/buildkit@v1";

PredicateJson digest_json(const DigestSet& digest) {
  PredicateJson out = PredicateJson::object();
  for (const auto& [algorithm, hex] : digest) out[algorithm] = hex;
  return out;
}

PredicateJson materials_json(const Provenance& provenance) {
  PredicateJson out = PredicateJson::array();
  for (const Material& material : provenance.materials) {
    PredicateJson entry = {{"uri", material.uri}};
    if (!material.digest.empty()) entry["digest"] = digest_json(material.digest);
    out.push_back(std::move(entry));
  }
  return out;
}

PredicateJson source_json(const Provenance& provenance, const char* path_name) {
  PredicateJson out = PredicateJson::object();
  if (!provenance.config_source.uri.empty()) out["uri"] = provenance.config_source.uri;
  if (!provenance.config_source.digest.empty()) out["digest"] = digest_json(provenance.config_source.digest);
  if (!provenance.dockerfile.empty()) out[path_name] = provenance.dockerfile;
  return out;
}

bool is_min_arg(const std::string& name) { return !name.starts_with("build-arg:") && !name.starts_with("label:"); }

bool request_is_complete(const Provenance& provenance, bool max) {
  if (max) return provenance.all_args;
  for (const auto& [name, value] : provenance.args)
    if (!is_min_arg(name)) return false;
  return provenance.all_args;
}

PredicateJson accesses_json(const std::vector<AccessUse>& uses) {
  PredicateJson out = PredicateJson::array();
  for (const AccessUse& use : uses) {
    PredicateJson entry = {{"id", use.id}};
    if (use.optional) entry["optional"] = true;
    out.push_back(std::move(entry));
  }
  return out;
}

PredicateJson request_json(const Provenance& provenance, bool max) {
  PredicateJson out = {{"frontend", "dockerfile.v0"}};
  PredicateJson args = PredicateJson::object();
  for (const auto& [name, value] : provenance.args)
    if (max || is_min_arg(name)) args[name] = value;
  if (!args.empty()) out["args"] = std::move(args);
  if (max && !provenance.secrets.empty()) out["secrets"] = accesses_json(provenance.secrets);
  if (max && !provenance.ssh.empty()) out["ssh"] = accesses_json(provenance.ssh);
  for (const std::string& local : provenance.locals) out["locals"].push_back({{"name", local}});
  return out;
}

std::string step_id(std::size_t index) { return cat("step", index); }

PredicateJson steps_json(const Provenance& provenance) {
  std::map<std::string, std::string> ids;
  PredicateJson steps = PredicateJson::array();
  for (std::size_t i = 0; i < provenance.steps.size(); ++i) {
    const ProvenanceStep& step = provenance.steps[i];
    PredicateJson entry = {{"id", step_id(i)}, {"op", PredicateJson::parse(step.op)}};
    if (!step.inputs.empty()) entry["inputs"] = step.inputs;
    steps.push_back(std::move(entry));
    ids[step.digest] = step_id(i);
  }
  PredicateJson out = PredicateJson::object();
  if (!steps.empty()) out["llbDefinition"] = std::move(steps);
  for (const auto& [digest, id] : ids) out["digestMapping"][digest] = id;
  return out;
}

PredicateJson location_json(const std::vector<LineRange>& lines) {
  if (lines.empty()) return PredicateJson::object();
  PredicateJson ranges = PredicateJson::array();
  for (const LineRange& range : lines)
    ranges.push_back({{"start", {{"line", range.first}}}, {"end", {{"line", range.last}}}});
  return {{"locations", PredicateJson::array({{{"ranges", std::move(ranges)}}})}};
}

PredicateJson dockerfile_json(const Provenance& provenance) {
  PredicateJson out = PredicateJson::object();
  for (std::size_t i = 0; i + 1 < provenance.steps.size(); ++i)  // the last one only names the result
    out["locations"][step_id(i)] = location_json(provenance.steps[i].lines);
  const std::string text = without_texts(provenance.dockerfile_text, provenance.hidden);
  out["infos"].push_back(
      {{"filename", provenance.dockerfile}, {"language", "Dockerfile"}, {"data", base64_encode(text)}});
  return out;
}

PredicateJson layers_json(const Provenance& provenance) {
  PredicateJson out = PredicateJson::object();
  for (std::size_t i = 0; i < provenance.steps.size(); ++i) {
    if (provenance.steps[i].layers.empty()) continue;
    PredicateJson chain = PredicateJson::array();
    for (const oci::Descriptor& layer : provenance.steps[i].layers)
      chain.push_back(PredicateJson::parse(oci::to_json(layer)));
    out[cat(step_id(i), ":0")] = PredicateJson::array({std::move(chain)});
  }
  return out;
}

/// BuildKit's own additions to the metadata.
PredicateJson additions_json(const Provenance& provenance, bool max) {
  PredicateJson out = PredicateJson::object();
  for (const auto& [name, value] : provenance.vcs) out["vcs"][name] = value;
  if (!max) return out;
  out["source"] = dockerfile_json(provenance);
  if (PredicateJson layers = layers_json(provenance); !layers.empty()) out["layers"] = std::move(layers);
  return out;
}

bool is_hermetic(const Provenance& provenance) { return provenance.all_materials && !provenance.network; }

PredicateJson slsa1(const Provenance& provenance, const ProvenanceSettings& settings) {
  const bool max = settings.max;
  PredicateJson internal = PredicateJson::object();
  if (max) internal["buildConfig"] = steps_json(provenance);
  internal["builderPlatform"] = provenance.builder_platform;
  PredicateJson definition = {{"buildType", kBuildType1}};
  if (!provenance.materials.empty()) definition["resolvedDependencies"] = materials_json(provenance);
  definition["externalParameters"] = {{"configSource", source_json(provenance, "path")},
                                      {"request", request_json(provenance, max)}};
  definition["internalParameters"] = std::move(internal);
  PredicateJson metadata = {{"invocationId", provenance.invocation_id},
                            {"startedOn", format_rfc3339_ns(provenance.started_ns)},
                            {"finishedOn", format_rfc3339_ns(provenance.finished_ns)},
                            {"buildkit_metadata", additions_json(provenance, max)}};
  if (is_hermetic(provenance)) metadata["buildkit_hermetic"] = true;
  metadata["buildkit_completeness"] = {{"request", request_is_complete(provenance, max)},
                                       {"resolvedDependencies", provenance.all_materials}};
  if (settings.reproducible) metadata["buildkit_reproducible"] = true;
  PredicateJson builder = {{"id", settings.builder_id}, {"version", {{"cbuild", provenance.builder_version}}}};
  return {{"buildDefinition", std::move(definition)},
          {"runDetails", {{"builder", std::move(builder)}, {"metadata", std::move(metadata)}}}};
}

PredicateJson metadata02(const Provenance& provenance, const ProvenanceSettings& settings) {
  PredicateJson out = {{"buildInvocationID", provenance.invocation_id},
                       {"buildStartedOn", format_rfc3339_ns(provenance.started_ns)},
                       {"buildFinishedOn", format_rfc3339_ns(provenance.finished_ns)},
                       {"completeness",
                        {{"parameters", request_is_complete(provenance, settings.max)},
                         {"environment", true},
                         {"materials", provenance.all_materials}}},
                       {"reproducible", settings.reproducible}};
  out["https://mobyproject.org/buildkit@v1#metadata"] = additions_json(provenance, settings.max);
  if (is_hermetic(provenance)) out["https://mobyproject.org/buildkit@v1#hermetic"] = true;
  return out;
}

PredicateJson slsa02(const Provenance& provenance, const ProvenanceSettings& settings) {
  PredicateJson out = {{"builder", {{"id", settings.builder_id}}}, {"buildType", kBuildType02}};
  if (!provenance.materials.empty()) out["materials"] = materials_json(provenance);
  out["invocation"] = {{"configSource", source_json(provenance, "entryPoint")},
                       {"parameters", request_json(provenance, settings.max)},
                       {"environment", {{"platform", provenance.builder_platform}}}};
  if (settings.max) out["buildConfig"] = steps_json(provenance);
  out["metadata"] = metadata02(provenance, settings);
  return out;
}

void hide(PredicateJson& json, const std::vector<std::string>& hidden) {
  if (json.is_string()) {
    json = without_texts(json.get<std::string>(), hidden);
  } else if (json.is_structured()) {
    for (PredicateJson& part : json) hide(part, hidden);
  }
}

std::string written(PredicateJson json, const Provenance& provenance) {
  if (!provenance.hidden.empty()) hide(json, provenance.hidden);
  return json.dump(-1, ' ', false, PredicateJson::error_handler_t::replace);
}

/// Each of `locals` has no digest.
void check_materials(const Provenance& provenance) {
  if (provenance.all_materials) return;
  throw Error(ErrorCode::input, "provenance materials are incomplete: complete-materials=true was asked for")
      .with_hint(provenance.locals.empty() ? std::string()
                                           : cat("sources without a digest: ", join(provenance.locals, ", ")));
}

}  // namespace

std::string_view predicate_type(SlsaVersion version) {
  return version == SlsaVersion::v1 ? "https://slsa.dev/provenance/v1" : "https://slsa.dev/provenance/v0.2";
}

std::string to_predicate(const Provenance& provenance, const ProvenanceSettings& settings) {
  if (settings.complete_materials) check_materials(provenance);
  return written(settings.version == SlsaVersion::v1 ? slsa1(provenance, settings) : slsa02(provenance, settings),
                 provenance);
}

std::string to_metadata(const Provenance& provenance, const ProvenanceSettings& settings, bool max) {
  ProvenanceSettings full = settings;
  full.max = true;
  PredicateJson json = slsa02(provenance, full);
  if (!max) {
    json.erase("buildConfig");
    json.erase("metadata");
  }
  return written(std::move(json), provenance);
}

}  // namespace cbuild::supply
