// SPDX-License-Identifier: Apache-2.0
#include "supply/sign/signature.h"

#include <doctest/doctest.h>

#include "base/files.h"
#include "base/text.h"
#include "oci/layout.h"
#include "supply/sign/test_keys.h"

namespace cbuild::supply {
namespace {

struct SignatureFixture {
  TempDir dir = TempDir::in_tmp("cbuild-sign");
  oci::ImageLayout layout = oci::ImageLayout::create(dir.path());
  SigningKey key = SigningKey::parse(testing::kEcPrivate, "k");
  SignedImage image{"registry.example.com/app", sha256("image")};
};

}  // namespace

TEST_CASE("the signed bytes are those of cosign, and are read back") {
  const SignedImage image{"registry.example.com/app", sha256("image")};
  CHECK(to_payload(image) == cat(R"({"critical":{"identity":{"docker-reference":"registry.example.com/app"},"image":)",
                                 R"({"docker-manifest-digest":")", image.manifest.str(),
                                 R"("},"type":"cosign container image signature"},"optional":null})"));
  CHECK(parse_payload(to_payload(image)) == image);
  CHECK(parse_payload(replace_all(to_payload(image), "null", R"({"a":"b"})")) == image);
  for (const std::string& text : {std::string(), std::string("{}"), std::string("[]"), std::string("{\"critical\":3}"),
                                  replace_all(to_payload(image), "cosign container image signature", "other"),
                                  replace_all(to_payload(image), "sha256:", "sha512:")})
    CHECK_FALSE(parse_payload(text));
}

TEST_CASE_FIXTURE(SignatureFixture, "a manifest of signatures keeps those that were there") {
  const SignatureManifest first = put_signature(layout.blobs(), image, key, {}, std::nullopt);
  const SignatureManifest both =
      put_signature(layout.blobs(), image, SigningKey::parse(testing::kEdPrivate, "e"), first.content, std::nullopt);
  CHECK_FALSE(both.content.subject);
  CHECK(both.content.config.media_type == oci::media_type::kConfig);
  const std::vector<SignatureLayer> found = signatures_of(std::get<oci::Manifest>(oci::parse_manifest(both.json)));
  REQUIRE(found.size() == 2);
  const std::string payload = oci::read_blob(layout.blobs(), found[0].payload.digest);
  CHECK(payload == to_payload(image));
  CHECK(PublicKey::parse(testing::kEcPublic, "k").verifies(payload, found[0].signature));
  CHECK(PublicKey::parse(testing::kEdPublic, "k").verifies(payload, found[1].signature));
  const std::string config = oci::read_blob(layout.blobs(), both.content.config.digest);
  CHECK(config.find(cat("\"diff_ids\":[\"", found[0].payload.digest.str())) != std::string::npos);
}

TEST_CASE_FIXTURE(SignatureFixture, "a signature that refers to its image has it as the subject") {
  oci::Descriptor subject;
  subject.media_type = std::string(oci::media_type::kIndex);
  subject.digest = image.manifest;
  subject.size = 3;
  const SignatureManifest out = put_signature(layout.blobs(), image, key, {}, subject);
  CHECK(out.content.subject->digest == image.manifest);
  CHECK(out.content.artifact_type == "application/vnd.dev.cosign.artifact.sig.v1+json");
  CHECK(out.content.config.media_type == out.content.artifact_type);
}

TEST_CASE("other layers are left out") {
  oci::Manifest manifest;
  manifest.layers.resize(3);
  manifest.layers[1].media_type = "application/vnd.dev.cosign.simplesigning.v1+json";
  manifest.layers[2] = manifest.layers[1];
  manifest.layers[2].annotations["dev.cosignproject.cosign/signature"] = "***";
  CHECK(signatures_of(manifest).empty());
  CHECK(signature_tag(sha256("x")) == cat("sha256-", sha256("x").hex(), ".sig"));
}

}  // namespace cbuild::supply
