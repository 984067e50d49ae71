// SPDX-License-Identifier: Apache-2.0
// Signatures as cosign keeps them: a manifest whose layers are the signed payloads, each with its signature in an
// annotation, under a tag made of the digest of the image, or with that image as its subject.
#include "supply/sign/signature.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace cbuild::supply {
namespace {

using SignatureJson = nlohmann::ordered_json;

constexpr std::string_view kPayloadType = "application/vnd.dev.cosign.simplesigning.v1+json";
constexpr std::string_view kArtifactType = "application/vnd.dev.cosign.artifact.sig.v1+json";
constexpr std::string_view kKind = "cosign container image signature";
constexpr char kSignature[] = "dev.cosignproject.cosign/signature";
constexpr std::size_t kMostSignatures = 100;

/// As cosign writes it: an image's with nothing but its layers.
std::string config_of(const std::vector<oci::Descriptor>& layers) {
  SignatureJson out = {{"architecture", ""}, {"created", "0001-01-01T00:00:00Z"}};
  SignatureJson ids = SignatureJson::array(), history = SignatureJson::array();
  for (const oci::Descriptor& layer : layers) {
    ids.push_back(layer.digest.str());
    history.push_back({{"created", "0001-01-01T00:00:00Z"}});
  }
  out["history"] = std::move(history);
  out["os"] = "";
  out["rootfs"] = {{"type", "layers"}, {"diff_ids", std::move(ids)}};
  out["config"] = SignatureJson::object();
  return out.dump();
}

const SignatureJson& part(const SignatureJson& json, const char* name) {
  static const SignatureJson none;
  const auto found = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && found != json.end() ? *found : none;
}

std::string text_of(const SignatureJson& json) { return json.is_string() ? json.get<std::string>() : std::string(); }

}  // namespace

std::string signed_name(const oci::Reference& reference) {
  if (reference.registry == "docker.io") return cat("index.docker.io/", reference.repository);
  return reference.name();
}

std::string to_payload(const SignedImage& image) {
  const SignatureJson out = {{"critical",
                              {{"identity", {{"docker-reference", image.reference}}},
                               {"image", {{"docker-manifest-digest", image.manifest.str()}}},
                               {"type", kKind}}},
                             {"optional", nullptr}};
  return out.dump();
}

std::optional<SignedImage> parse_payload(std::string_view payload) {
  const SignatureJson json = SignatureJson::parse(payload, nullptr, false);
  const SignatureJson& critical = part(json, "critical");
  const std::string kind = text_of(part(critical, "type"));
  // "atomic": the older form, which has the same members.
  if (kind != kKind && kind != "atomic container signature") return std::nullopt;
  const auto digest = Digest::parse(text_of(part(part(critical, "image"), "docker-manifest-digest")));
  if (!digest) return std::nullopt;
  return SignedImage{text_of(part(part(critical, "identity"), "docker-reference")), *digest};
}

std::string signature_tag(const Digest& manifest) { return cat("sha256-", manifest.hex(), ".sig"); }

SignatureManifest put_signature(oci::BlobStore& blobs, const SignedImage& image, const SigningKey& key,
                                const oci::Manifest& earlier, const std::optional<oci::Descriptor>& subject) {
  SignatureManifest out;
  out.content.layers = earlier.layers;
  const std::string payload = to_payload(image);
  oci::Descriptor layer = oci::put_blob(blobs, payload, std::string(kPayloadType));
  layer.annotations[kSignature] = base64_encode(key.sign(payload));
  out.content.layers.push_back(std::move(layer));
  const std::string_view type = subject ? kArtifactType : oci::media_type::kConfig;
  out.content.config = oci::put_blob(blobs, config_of(out.content.layers), std::string(type));
  if (subject) {
    out.content.artifact_type = std::string(kArtifactType);
    out.content.subject.emplace();
    out.content.subject->media_type = subject->media_type;
    out.content.subject->digest = subject->digest;
    out.content.subject->size = subject->size;
  }
  out.json = oci::to_json(out.content);
  return out;
}

std::vector<SignatureLayer> signatures_of(const oci::Manifest& manifest) {
  std::vector<SignatureLayer> out;
  for (const oci::Descriptor& layer : manifest.layers) {
    const auto found = layer.annotations.find(kSignature);
    if (layer.media_type != kPayloadType || found == layer.annotations.end() || out.size() >= kMostSignatures) continue;
    if (auto signature = base64_decode(found->second)) out.push_back({layer, std::move(*signature)});
  }
  return out;
}

}  // namespace cbuild::supply
