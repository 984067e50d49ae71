// SPDX-License-Identifier: Apache-2.0
#include "exporter/push_signature.h"

#include <doctest/doctest.h>

#include "exporter/test_support.h"
#include "oci/registry/fake_registry.h"
#include "supply/sign/signature.h"
#include "supply/sign/test_keys.h"

namespace cbuild::exporter {
namespace {

using namespace testing;

struct SigningBench : Workshop {
  oci::registry::FakeRegistry registry;
  oci::registry::ClientFixture fixture;
  supply::SigningKey key = supply::SigningKey::parse(supply::testing::kEcPrivate, "k");
  supply::PublicKey open = supply::PublicKey::parse(supply::testing::kEcPublic, "k");
  ExportContext context{store, &fixture.client(), nullptr, nullptr, 0, nullptr};
  oci::Descriptor document = image("x").manifest;
  std::string name = registry.reference("app:1").str();

  SigningBench() { context.signer = &key; }
  /// How many signatures under `tag` the key verifies.
  std::size_t verified(const std::string& manifest) {
    std::size_t count = 0;
    for (const auto& layer : supply::signatures_of(std::get<oci::Manifest>(oci::parse_manifest(manifest)))) {
      const std::string payload = registry.blobs.at("app@" + layer.payload.digest.str());
      CHECK(supply::parse_payload(payload)->manifest == document.digest);
      count += open.verifies(payload, layer.signature) ? 1 : 0;
    }
    return count;
  }
  std::string tagged() { return registry.manifests.at("app@" + supply::signature_tag(document.digest)).second; }
};

}  // namespace

TEST_CASE_FIXTURE(SigningBench, "a signature goes under the tag of its document, once for each key") {
  for (const int time : {1, 2}) {
    CAPTURE(time);
    push_signature(document, name, false, context);
    CHECK(verified(tagged()) == 1);
  }
  const supply::SigningKey other = supply::SigningKey::parse(supply::testing::kEdPrivate, "k");
  context.signer = &other;
  push_signature(document, name, false, context);
  const auto both = supply::signatures_of(std::get<oci::Manifest>(oci::parse_manifest(tagged())));
  CHECK(both.size() == 2);
  CHECK(verified(tagged()) == 1);
  CHECK(registry.violations.empty());
}

TEST_CASE_FIXTURE(SigningBench, "as a referrer a signature has the document as its subject") {
  push_signature(document, name, true, context);
  CHECK_FALSE(registry.manifests.contains("app@" + supply::signature_tag(document.digest)));
  const auto found = fixture.client().referrers(oci::parse_reference(name), document.digest);
  REQUIRE(found.size() == 1);
  CHECK(found[0].artifact_type == "application/vnd.dev.cosign.artifact.sig.v1+json");
  const std::string manifest = registry.manifests.at("app@" + found[0].digest.str()).second;
  CHECK(std::get<oci::Manifest>(oci::parse_manifest(manifest)).subject->digest == document.digest);
  CHECK(verified(manifest) == 1);
}

}  // namespace cbuild::exporter
