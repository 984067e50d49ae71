// SPDX-License-Identifier: Apache-2.0
// Manifests and indexes of OCI and Docker, read strictly: header, body and members have to agree on one media type,
// because a document that passes for both kinds means different images to different tools (CVE-2021-41190). They are
// written with the order, indentation and nulls of BuildKit, so that digests agree. select_platform() picks the entry
// that containerd would pick.
#include "oci/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "oci/json.h"
#include "oci/sha512.h"

namespace cbuild::oci {

namespace {

using Value = nlohmann::json;
constexpr std::size_t kMaxManifestBytes = 4u << 20;  // distribution-spec: the size that a registry has to accept

[[noreturn]] void corrupt(std::string message) { throw Error(ErrorCode::corrupt, std::move(message)); }

Platform parse_platform_object(const Value& object) {
  Platform platform;
  platform.architecture = json::text(object, "architecture");
  if (const std::string os = json::text(object, "os"); !os.empty()) platform.os = os;
  platform.os_version = json::text(object, "os.version");
  platform.os_features = json::texts(object, "os.features");
  platform.variant = json::text(object, "variant");
  return platform;
}

void parse_digest(const Value& object, Digests digests, Descriptor& out) {
  std::string text = json::text(object, "digest");
  if (const std::optional<Digest> digest = Digest::parse(text)) {
    out.digest = *digest;
    return;
  }
  const std::string shown = sanitize_for_terminal(std::string_view(text).substr(0, 160));
  if (!is_sha512(text)) corrupt("not a digest: \"" + shown + "\"");
  if (digests != Digests::any) throw Error(ErrorCode::unsupported, "digest algorithm of " + shown);
  out.sha512 = std::move(text);
}

Descriptor parse_descriptor(const Value& object, Digests digests) {
  if (!object.is_object()) corrupt("descriptor is not an object");
  Descriptor out;
  out.media_type = json::text(object, "mediaType");
  parse_digest(object, digests, out);
  const std::int64_t size = json::integer(object, "size");
  if (size < 0) corrupt("descriptor of negative size");
  out.size = static_cast<std::uint64_t>(size);
  out.urls = json::texts(object, "urls");
  out.annotations = json::text_map(object, "annotations");
  if (const Value* platform = json::object(object, "platform")) out.platform = parse_platform_object(*platform);
  out.artifact_type = json::text(object, "artifactType");
  if (json::find(object, "data") != nullptr) {
    out.data = base64_decode(json::text(object, "data"));
    if (!out.data) corrupt("\"data\" is not base64");
  }
  return out;
}

std::vector<Descriptor> parse_descriptors(const Value& document, const char* key, Digests digests) {
  std::vector<Descriptor> out;
  const Value* list = json::array(document, key);
  if (list == nullptr) return out;
  out.reserve(list->size());
  for (const Value& element : *list) out.push_back(parse_descriptor(element, digests));
  return out;
}

std::optional<Descriptor> parse_subject(const Value& document, Digests digests) {
  const Value* subject = json::object(document, "subject");
  return subject == nullptr ? std::nullopt : std::optional(parse_descriptor(*subject, digests));
}

std::string without_parameters(std::string_view content_type) {
  return to_lower(trim(content_type.substr(0, content_type.find(';'))));
}

bool is_schema1(std::string_view type) {
  return type == "application/vnd.docker.distribution.manifest.v1+json" ||
         type == "application/vnd.docker.distribution.manifest.v1+prettyjws";
}

void check_schema(const Value& document, std::string_view type) {
  const std::int64_t version = json::integer(document, "schemaVersion");
  if (version == 1 || is_schema1(type)) {
    throw Error(ErrorCode::unsupported, "image manifest of the withdrawn format \"schema 1\"")
        .with_hint("push the image again with a current tool");
  }
  if (version != 2 && document.contains("schemaVersion")) corrupt(cat("unknown schemaVersion ", version));
}

/// The one media type that the header, the body and its members agree on.
std::string settle_media_type(const Value& document, std::string_view content_type) {
  const std::string header = without_parameters(content_type);
  const std::string body = json::text(document, "mediaType");
  check_schema(document, body.empty() ? header : body);
  if (!body.empty() && !header.empty() && body != header) {
    corrupt(cat("content type ", sanitize_for_terminal(header), " but body says ", sanitize_for_terminal(body)));
  }
  const bool lists_manifests = document.contains("manifests");
  const bool lists_layers = document.contains("layers") || document.contains("config");
  if (lists_manifests && lists_layers) corrupt("both \"manifests\" and \"layers\" or \"config\" (CVE-2021-41190)");
  std::string type = body.empty() ? header : body;
  if (type.empty()) type = lists_manifests ? media_type::kIndex : media_type::kManifest;
  if (!is_manifest(type) && !is_index(type)) {
    throw Error(ErrorCode::unsupported, "manifest of media type " + sanitize_for_terminal(type));
  }
  if (is_index(type) ? lists_layers : lists_manifests) corrupt("members do not fit media type " + type);
  return type;
}

Manifest read_manifest(const Value& document, std::string type, Digests digests) {
  Manifest out;
  out.media_type = std::move(type);
  out.artifact_type = json::text(document, "artifactType");
  const Value* config = json::object(document, "config");
  if (config == nullptr) corrupt("\"config\" is missing");
  out.config = parse_descriptor(*config, digests);
  out.layers = parse_descriptors(document, "layers", digests);
  out.subject = parse_subject(document, digests);
  out.annotations = json::text_map(document, "annotations");
  return out;
}

Index read_index(const Value& document, std::string type, Digests digests) {
  Index out;
  out.media_type = std::move(type);
  out.artifact_type = json::text(document, "artifactType");
  out.manifests = parse_descriptors(document, "manifests", digests);
  out.subject = parse_subject(document, digests);
  out.annotations = json::text_map(document, "annotations");
  return out;
}

void write_platform(json::Writer& writer, const Platform& platform) {
  writer.begin_object().key("architecture").text(platform.architecture).key("os").text(platform.os);
  writer.opt_text("os.version", platform.os_version).opt_texts("os.features", platform.os_features);
  writer.opt_text("variant", platform.variant).end_object();
}

void write_descriptor(json::Writer& writer, const Descriptor& descriptor) {
  writer.begin_object().key("mediaType").text(descriptor.media_type);
  writer.key("digest").text(descriptor.name());
  writer.key("size").number(static_cast<std::int64_t>(descriptor.size));
  writer.opt_texts("urls", descriptor.urls).opt_text_map("annotations", descriptor.annotations);
  if (descriptor.data) writer.opt_text("data", base64_encode(*descriptor.data));
  if (descriptor.platform) {
    writer.key("platform");
    write_platform(writer, *descriptor.platform);
  }
  writer.opt_text("artifactType", descriptor.artifact_type).end_object();
}

/// An empty list is null, as Go writes a nil slice.
void write_descriptors(json::Writer& writer, std::string_view name, const std::vector<Descriptor>& descriptors) {
  writer.key(name);
  if (descriptors.empty()) {
    writer.null();
    return;
  }
  writer.begin_array();
  for (const Descriptor& descriptor : descriptors) write_descriptor(writer, descriptor);
  writer.end_array();
}

void write_head(json::Writer& writer, const std::string& type, const std::string& artifact_type) {
  writer.begin_object().key("schemaVersion").number(2).opt_text("mediaType", type);
  writer.opt_text("artifactType", artifact_type);
}

void write_tail(json::Writer& writer, const std::optional<Descriptor>& subject, const Annotations& annotations) {
  if (subject) {
    writer.key("subject");
    write_descriptor(writer, *subject);
  }
  writer.opt_text_map("annotations", annotations).end_object();
}

std::string index_json(const Index& index, json::Writer::Style style) {
  json::Writer writer(style);
  write_head(writer, index.media_type, index.artifact_type);
  write_descriptors(writer, "manifests", index.manifests);
  write_tail(writer, index.subject, index.annotations);
  return writer.take();
}

}  // namespace

std::variant<Manifest, Index> parse_manifest(std::string_view text, std::string_view content_type, Digests digests) {
  if (is_schema1(without_parameters(content_type))) check_schema(Value::object(), without_parameters(content_type));
  const Value document = json::parse_object(text, kMaxManifestBytes, "manifest");
  try {
    std::string type = settle_media_type(document, content_type);
    if (is_index(type)) return read_index(document, std::move(type), digests);
    return read_manifest(document, std::move(type), digests);
  } catch (Error& e) {
    e.add_context("manifest");
    throw;
  }
}

bool has_sha512(const Manifest& manifest) {
  return !manifest.config.sha512.empty() || std::any_of(manifest.layers.begin(), manifest.layers.end(),
                                                        [](const Descriptor& layer) { return !layer.sha512.empty(); });
}

std::string to_json(const Manifest& manifest) {
  json::Writer writer(json::Writer::Style::indented);
  write_head(writer, manifest.media_type, manifest.artifact_type);
  writer.key("config");
  write_descriptor(writer, manifest.config);
  write_descriptors(writer, "layers", manifest.layers);
  write_tail(writer, manifest.subject, manifest.annotations);
  return writer.take();
}

std::string to_json(const Index& index) { return index_json(index, json::Writer::Style::indented); }

std::string to_compact_json(const Index& index) { return index_json(index, json::Writer::Style::compact); }

std::string to_json(const Descriptor& descriptor) {
  json::Writer writer;
  write_descriptor(writer, descriptor);
  return writer.take();
}

bool is_attestation(const Descriptor& descriptor) {
  const auto type = descriptor.annotations.find("vnd.docker.reference.type");
  if (type != descriptor.annotations.end() && type->second == "attestation-manifest") return true;
  return descriptor.platform && descriptor.platform->os == "unknown" && descriptor.platform->architecture == "unknown";
}

const Descriptor* select_platform(const Index& index, const Platform& wanted) {
  const Descriptor *best = nullptr, *silent = nullptr;
  int best_score = 0;
  for (const Descriptor& entry : index.manifests) {
    if (is_attestation(entry)) continue;
    if (!entry.platform) {
      if (silent == nullptr) silent = &entry;
      continue;
    }
    if (const int score = match_score(wanted, *entry.platform); score > best_score) {
      best = &entry;
      best_score = score;
    }
  }
  return best != nullptr ? best : silent;
}

}  // namespace cbuild::oci
