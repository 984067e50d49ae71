// SPDX-License-Identifier: Apache-2.0
// Statements about an image, next to it: in an index of the image and its attestation manifest, the form of BuildKit,
// or as a referrer of an image that stays a single manifest (docs/decisions/attestation-form.md).
#include "exporter/attested_image.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "exporter/image_set.h"
#include "oci/reference.h"
#include "supply/attestation_manifest.h"
#include "supply/purl.h"
#include "supply/statement.h"

namespace cbuild::exporter {
namespace {

/// The image under each of its names.
std::vector<supply::Subject> image_subjects(const BuiltImage& image, const std::vector<std::string>& names) {
  std::vector<supply::Subject> out;
  for (const std::string& name : names)
    out.push_back({supply::image_purl("docker", oci::parse_reference(name), image.manifest.platform),
                   {{"sha256", image.manifest.digest.hex()}}});
  return out;
}

}  // namespace

std::vector<Attestation> attestations_for(const Output& output, const ImageResult& result) {
  std::vector<Attestation> out = result.attestations;
  std::erase_if(out, [&](const Attestation& one) { return one.inline_only && !output.attestation_inline; });
  return out;
}

void check_attestable(const Output& output) {
  const auto refuse = [](const std::string& what, const std::string& hint) {
    throw Error(ErrorCode::usage, cat("attestations: ", what)).with_hint(hint);
  };
  if (output.image.docker_media_types || !output.oci_media_types)
    refuse("an image with oci-mediatypes=false cannot have any", "leave out oci-mediatypes=false, or the attestations");
  if (output.type == OutputType::docker)
    refuse("type=docker takes a single image", "--output type=oci, or --provenance=false --sbom=false");
}

std::vector<BuiltImage> attest_image(cache::Store& store, const BuiltImage& image, const ImageResult& result,
                                     const Output& output) {
  const std::vector<Attestation> attestations = attestations_for(output, result);
  if (attestations.empty()) return {};
  check_attestable(output);
  const std::vector<supply::Subject> subjects = image_subjects(image, output.names);
  std::vector<supply::NamedStatement> statements;
  for (const Attestation& one : attestations)
    statements.push_back(
        {one.predicate_type,
         supply::to_statement(one.predicate_type, one.subjects.empty() ? subjects : one.subjects, one.predicate())});
  const bool artifact = output.oci_artifact.value_or(true) || output.referrers;
  return {attach_manifest(store, supply::put_statements(store.blobs(), image.manifest, statements, artifact), image,
                          "attestation-manifest")};
}

}  // namespace cbuild::exporter
