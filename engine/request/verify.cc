// SPDX-License-Identifier: Apache-2.0
#include "engine/request/verify.h"

#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::engine {
namespace {

constexpr std::string_view kSignatureType = "application/vnd.dev.cosign.artifact.sig.v1+json";
constexpr std::size_t kMostManifests = 50, kLargestPayload = 1u << 20;

std::optional<oci::Manifest> find_signatures(oci::registry::Client& client, const oci::Reference& reference) {
  try {
    const oci::registry::FetchedManifest found = client.manifest(reference);
    auto document = oci::parse_manifest(found.body, found.media_type);
    if (auto* manifest = std::get_if<oci::Manifest>(&document)) return std::move(*manifest);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
  }
  return std::nullopt;
}

std::vector<oci::Manifest> signature_manifests(oci::registry::Client& client, const oci::Reference& reference,
                                               const Digest& digest) {
  std::vector<oci::Manifest> out;
  oci::Reference place = reference;
  place.digest.reset();
  place.tag = supply::signature_tag(digest);
  if (auto manifest = find_signatures(client, place)) out.push_back(std::move(*manifest));
  place.tag.clear();
  for (const oci::Descriptor& entry : client.referrers(place, digest)) {
    if (entry.artifact_type != kSignatureType || out.size() >= kMostManifests) continue;
    place.digest = entry.digest;
    if (auto manifest = find_signatures(client, place)) out.push_back(std::move(*manifest));
  }
  return out;
}

}  // namespace

std::vector<supply::SignedImage> verified_signatures(oci::registry::Client& client, const oci::Reference& reference,
                                                     const Digest& digest, const supply::PublicKey& key) {
  std::vector<supply::SignedImage> out;
  for (const oci::Manifest& manifest : signature_manifests(client, reference, digest)) {
    for (const supply::SignatureLayer& layer : supply::signatures_of(manifest)) {
      if (layer.payload.size > kLargestPayload) continue;
      const std::string payload = client.fetch_small_blob(reference, layer.payload);
      if (!key.verifies(payload, layer.signature)) continue;
      // A signature may have been copied from another image.
      if (auto image = supply::parse_payload(payload); image && image->manifest == digest)
        out.push_back(std::move(*image));
    }
  }
  return out;
}

std::string signed_repository(const supply::SignedImage& image) {
  try {
    oci::Reference reference = oci::parse_reference(image.reference);
    if (reference.registry == "index.docker.io") reference.registry = "docker.io";
    return reference.name();
  } catch (const Error&) {
    return {};
  }
}

VerifyResult verify_image(const VerifyRequest& request, const CancelSource& cancel) {
  const oci::Reference reference = oci::parse_reference(request.reference);
  oci::registry::Options options;
  options.insecure = request.insecure_registries;
  options.auth_file = request.auth_file;
  options.files = request.registry_files;
  options.limits = request.transfer_limits;
  options.cancel = &cancel;
  oci::registry::Client client(std::move(options));
  VerifyResult out;
  out.digest = reference.digest ? *reference.digest : client.manifest(reference).digest;
  for (std::size_t i = 0; i < request.keys.size() && !out.key; ++i) {
    for (const supply::SignedImage& image : verified_signatures(client, reference, out.digest, request.keys[i])) {
      out.key = i;
      out.repositories.push_back(signed_repository(image));
    }
  }
  return out;
}

}  // namespace cbuild::engine
