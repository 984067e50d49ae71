// SPDX-License-Identifier: Apache-2.0
#include "supply/attestation_manifest.h"

#include <doctest/doctest.h>

#include "base/files.h"
#include "base/text.h"
#include "oci/layout.h"

namespace cbuild::supply {
namespace {

/// An image that statements are about, and a place for them.
struct AttestedFixture {
  TempDir dir = TempDir::in_tmp("cbuild-supply");
  oci::ImageLayout layout = oci::ImageLayout::create(dir.path());
  oci::Descriptor image;

  AttestedFixture() {
    image.media_type = std::string(oci::media_type::kManifest);
    image.digest = sha256("image");
    image.size = 5;
    image.platform = oci::parse_platform("linux/amd64");
    image.annotations["a"] = "b";
  }
};

}  // namespace

TEST_CASE_FIXTURE(AttestedFixture, "an attestation manifest as an artifact with a subject") {
  const oci::Manifest out =
      put_statements(layout.blobs(), image, {{"https://slsa.dev/provenance/v1", "{\"x\":1}"}}, true);
  const std::string statement = sha256("{\"x\":1}").str();
  CHECK(oci::to_json(out) == cat(R"({
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "artifactType": "application/vnd.docker.attestation.manifest.v1+json",
  "config": {
    "mediaType": "application/vnd.oci.empty.v1+json",
    "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "size": 2,
    "data": "e30="
  },
  "layers": [
    {
      "mediaType": "application/vnd.in-toto+json",
      "digest": ")",
                                 statement, R"(",
      "size": 7,
      "annotations": {
        "in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"
      }
    }
  ],
  "subject": {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": ")",
                                 image.digest.str(), R"(",
    "size": 5
  }
})"));
  CHECK(oci::read_blob(layout.blobs(), out.config.digest) == "{}");
  CHECK(oci::read_blob(layout.blobs(), out.layers.at(0).digest) == "{\"x\":1}");
}

TEST_CASE_FIXTURE(AttestedFixture, "an attestation manifest as an image of unknown platform") {
  const oci::Manifest out = put_statements(layout.blobs(), image, {{"t1", "{}"}, {"t2", "{\"y\":2}"}}, false);
  CHECK_FALSE(out.subject);
  CHECK(out.artifact_type.empty());
  CHECK(out.layers.size() == 2);
  CHECK(oci::read_blob(layout.blobs(), out.config.digest) ==
        cat(R"({"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[")",
            sha256("{}").str(), R"(",")", sha256("{\"y\":2}").str(), R"("]}})"));
}

}  // namespace cbuild::supply
