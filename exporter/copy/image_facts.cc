// SPDX-License-Identifier: Apache-2.0
#include "exporter/copy/image_facts.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::exporter {
namespace {

constexpr char kPredicate[] = "in-toto.io/predicate-type";
constexpr std::size_t kMostImages = 200;

PlatformImage read_image(ImagePlace& from, const oci::Descriptor& descriptor, const std::string& body) {
  PlatformImage out;
  out.descriptor = descriptor;
  auto parsed = oci::parse_manifest(body);
  if (!std::holds_alternative<oci::Manifest>(parsed))
    throw Error(ErrorCode::unsupported, cat(from.name(), ": an index within an index"));
  out.manifest = std::get<oci::Manifest>(std::move(parsed));
  const std::string& type = out.manifest.config.media_type;
  if (type != oci::media_type::kConfig && type != oci::media_type::kDockerConfig) return out;  // an artifact
  out.config_json = from.small_blob(out.manifest.config);
  out.config = oci::parse_image_config(out.config_json);
  out.platform = descriptor.platform.value_or(out.config.platform);
  return out;
}

}  // namespace

std::optional<Digest> attested_manifest(const oci::Descriptor& descriptor) {
  if (!oci::is_attestation(descriptor)) return std::nullopt;
  const auto about = descriptor.annotations.find("vnd.docker.reference.digest");
  return about == descriptor.annotations.end() ? std::nullopt : Digest::parse(about->second);
}

std::vector<StatementBlob> read_attestations(ImagePlace& from, const oci::Index& index, const Digest& manifest) {
  std::vector<StatementBlob> out;
  for (const oci::Descriptor& entry : index.manifests) {
    if (attested_manifest(entry) != manifest) continue;
    const auto parsed = oci::parse_manifest(from.document(entry));
    const auto* statements = std::get_if<oci::Manifest>(&parsed);
    if (statements == nullptr) continue;
    for (const oci::Descriptor& layer : statements->layers) {
      const auto type = layer.annotations.find(kPredicate);
      if (type != layer.annotations.end()) out.push_back({type->second, layer});
    }
  }
  return out;
}

std::vector<PlatformImage> read_platform_images(ImagePlace& from, const ImageDocument& image,
                                                const std::vector<oci::Platform>& wanted) {
  std::vector<PlatformImage> out;
  const auto parsed = oci::parse_manifest(image.body);
  const auto* index = std::get_if<oci::Index>(&parsed);
  if (index == nullptr) {
    out.push_back(read_image(from, image.descriptor, image.body));
    return out;
  }
  for (const oci::Descriptor& entry : index->manifests) {
    if (oci::is_attestation(entry)) continue;
    const auto serves = [&](const oci::Platform& platform) {
      return entry.platform && oci::match_score(platform, *entry.platform) > 0;
    };
    if (!wanted.empty() && std::none_of(wanted.begin(), wanted.end(), serves)) continue;
    if (out.size() == kMostImages) throw Error(ErrorCode::corrupt, cat(from.name(), ": the index has too many images"));
    out.push_back(read_image(from, entry, from.document(entry)));
    out.back().attestations = read_attestations(from, *index, entry.digest);
  }
  return out;
}

std::uint64_t size_of(const oci::Manifest& manifest) {
  std::uint64_t size = manifest.config.size;
  for (const oci::Descriptor& layer : manifest.layers) size += layer.size;
  return size;
}

}  // namespace cbuild::exporter
