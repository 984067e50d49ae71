// SPDX-License-Identifier: Apache-2.0
// An image for people: a line for each value, aligned, in the order and with the words of docker's `imagetools
// inspect`; what it does not show (config, layers, history, attestations) follows below.
#include "cli/images/inspect_text.h"

#include <nlohmann/json.hpp>
#include <ostream>

#include "base/text.h"
#include "cli/report/text_output.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kCommand = 80;

void line(std::ostream& out, std::string_view indent, std::string_view name, const std::string& value,
          std::size_t width = 11) {
  if (value.empty()) return;
  out << indent << name << ':' << std::string(name.size() < width - 1 ? width - 1 - name.size() : 1, ' ')
      << sanitize_for_terminal(value) << '\n';
}

/// "docker.io/library/app:1" with another digest behind it.
std::string with_digest(const std::string& name, const std::string& digest) {
  return cat(name.substr(0, name.find('@')), "@", digest);
}

void print_entry(std::ostream& out, const std::string& name, const oci::Descriptor& entry) {
  line(out, "  ", "Name", with_digest(name, entry.name()));
  line(out, "  ", "MediaType", entry.media_type);
  if (entry.platform) line(out, "  ", "Platform", entry.platform->str());
  if (entry.platform) line(out, "  ", "OSVersion", entry.platform->os_version);
  line(out, "  ", "ArtifactType", entry.artifact_type, 14);
  if (entry.annotations.empty()) return;
  out << "  Annotations:\n";
  for (const auto& [key, value] : entry.annotations)
    out << "    " << sanitize_for_terminal(key) << ": " << sanitize_for_terminal(value) << '\n';
}

std::string words(const std::optional<std::vector<std::string>>& list) {
  return list ? Json(*list).dump(-1, ' ', false, Json::error_handler_t::replace) : std::string();
}

template <typename Set>
std::string joined(const Set& set) {
  return join(std::vector<std::string>(set.begin(), set.end()), ", ");
}

void print_config(std::ostream& out, const exporter::PlatformImage& image) {
  const oci::ContainerConfig& config = image.config.config;
  line(out, "  ", "User", config.user, 14);
  line(out, "  ", "WorkingDir", config.working_dir, 14);
  line(out, "  ", "Entrypoint", words(config.entrypoint), 14);
  line(out, "  ", "Cmd", words(config.cmd), 14);
  line(out, "  ", "Shell", words(config.shell), 14);
  line(out, "  ", "StopSignal", config.stop_signal, 14);
  line(out, "  ", "ExposedPorts", joined(config.exposed_ports), 14);
  line(out, "  ", "Volumes", joined(config.volumes), 14);
  for (const std::string& variable : config.env) line(out, "  ", "Env", variable, 14);
  for (const auto& [key, value] : config.labels) line(out, "  ", "Label", cat(key, "=", value), 14);
  if (config.healthcheck) line(out, "  ", "Healthcheck", words(config.healthcheck->test), 14);
}

void print_layers(std::ostream& out, const oci::Manifest& manifest) {
  out << "\nLayers:\n";
  Table table({"DIGEST", "SIZE", "TYPE"});
  for (const oci::Descriptor& layer : manifest.layers)
    table.add({layer.name(), format_size(layer.size), layer.media_type});
  table.print(out);
}

void print_history(std::ostream& out, const oci::ImageConfig& config) {
  if (config.history.empty()) return;
  out << "\nHistory:\n";
  Table table({"CREATED", "LAYER", "CREATED BY", "COMMENT"});
  for (const oci::HistoryEntry& entry : config.history)
    table.add({entry.created.substr(0, 19), entry.empty_layer ? "-" : "yes", shorten(entry.created_by, kCommand),
               entry.comment});
  table.print(out);
}

}  // namespace

void print_manifest(std::ostream& out, const std::string& name, const exporter::ImageDocument& image) {
  line(out, "", "Name", name);
  line(out, "", "MediaType", image.descriptor.media_type);
  line(out, "", "Digest", image.descriptor.digest.str());
  const auto parsed = oci::parse_manifest(image.body, {}, oci::Digests::any);
  const auto* index = std::get_if<oci::Index>(&parsed);
  if (index == nullptr) return;
  out << "\nManifests:\n";
  for (std::size_t i = 0; i < index->manifests.size(); ++i) {
    if (i > 0) out << '\n';
    print_entry(out, name, index->manifests[i]);
  }
}

void print_platform_image(std::ostream& out, const exporter::PlatformImage& image) {
  out << '\n';
  line(out, "", "Manifest", image.descriptor.digest.str());
  if (!image.config_json.empty()) line(out, "", "Platform", image.platform.str());
  line(out, "", "Artifact", image.manifest.artifact_type);
  line(out, "", "Created", image.config.created);
  line(out, "", "Author", image.config.author);
  line(out, "", "Size", format_size(exporter::size_of(image.manifest)));
  for (const auto& [key, value] : image.manifest.annotations) line(out, "", "Annotation", cat(key, "=", value));
  if (!image.config_json.empty()) {
    out << "\nConfig:\n";
    line(out, "  ", "Digest", image.manifest.config.name(), 14);
    print_config(out, image);
  }
  print_layers(out, image.manifest);
  print_history(out, image.config);
  if (image.attestations.empty()) return;
  out << "\nAttestations:\n";
  Table table({"PREDICATE", "DIGEST", "SIZE"});
  for (const exporter::StatementBlob& attestation : image.attestations)
    table.add({attestation.predicate_type, attestation.blob.name(), format_size(attestation.blob.size)});
  table.print(out);
}

void print_referrers(std::ostream& out, const std::vector<exporter::Referrer>& referrers) {
  if (referrers.empty()) return;
  out << "\nReferrers:\n";
  Table table({"TYPE", "DIGEST", "TAG"});
  for (const exporter::Referrer& referrer : referrers)
    table.add(
        {referrer.descriptor.artifact_type.empty() ? referrer.descriptor.media_type : referrer.descriptor.artifact_type,
         referrer.descriptor.name(), referrer.tag.empty() ? "-" : referrer.tag});
  table.print(out);
}

nlohmann::ordered_json manifest_json(const exporter::ImageDocument& image) {
  const Json body = Json::parse(image.body);
  Json out = Json::object();
  out["schemaVersion"] = 2;
  out["mediaType"] = image.descriptor.media_type;
  out["digest"] = image.descriptor.digest.str();
  out["size"] = image.descriptor.size;
  for (const char* key : {"artifactType", "config", "layers", "manifests", "subject", "annotations"})
    if (const auto found = body.find(key); found != body.end()) out[key] = *found;
  return out;
}

}  // namespace cbuild::cli
