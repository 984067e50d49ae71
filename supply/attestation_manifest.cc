// SPDX-License-Identifier: Apache-2.0
// The manifest that carries statements about an image, in the two forms that BuildKit has: an artifact of image-spec
// 1.1, which a registry lists among the referrers of its image, and the older one, an image of unknown platform, which
// every registry takes. Both stand in an index next to their image.
#include "supply/attestation_manifest.h"

#include "base/text.h"
#include "supply/statement.h"

namespace cbuild::supply {
namespace {

constexpr std::string_view kArtifactType = "application/vnd.docker.attestation.manifest.v1+json";
constexpr std::string_view kEmptyType = "application/vnd.oci.empty.v1+json";

oci::Descriptor put_empty_config(oci::BlobStore& blobs) {
  oci::Descriptor config = oci::put_blob(blobs, "{}", std::string(kEmptyType));
  config.data = "{}";
  return config;
}

/// As Go writes an image-spec Image: it has the layers of the manifest, and nothing else.
oci::Descriptor put_image_config(oci::BlobStore& blobs, const std::vector<oci::Descriptor>& layers) {
  std::vector<std::string> ids;
  for (const oci::Descriptor& layer : layers) ids.push_back(cat("\"", layer.digest.str(), "\""));
  return oci::put_blob(blobs,
                       cat(R"({"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers",)",
                           R"("diff_ids":[)", join(ids, ","), "]}}"),
                       std::string(oci::media_type::kConfig));
}

oci::Descriptor put_statement(oci::BlobStore& blobs, const NamedStatement& statement) {
  oci::Descriptor layer = oci::put_blob(blobs, statement.json, std::string(kStatementMediaType));
  layer.annotations["in-toto.io/predicate-type"] = statement.predicate_type;
  return layer;
}

}  // namespace

oci::Manifest put_statements(oci::BlobStore& blobs, const oci::Descriptor& image,
                             const std::vector<NamedStatement>& statements, bool artifact) {
  oci::Manifest out;
  for (const NamedStatement& statement : statements) out.layers.push_back(put_statement(blobs, statement));
  if (!artifact) {
    out.config = put_image_config(blobs, out.layers);
    return out;
  }
  out.artifact_type = std::string(kArtifactType);
  out.config = put_empty_config(blobs);
  oci::Descriptor& subject = out.subject.emplace();
  subject.media_type = image.media_type;
  subject.digest = image.digest;
  subject.size = image.size;
  return out;
}

}  // namespace cbuild::supply
