// SPDX-License-Identifier: Apache-2.0
// Policies over a fake registry, with signatures that the real code made.
#include "engine/request/signature_policy.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"
#include "engine/request/verify.h"
#include "oci/registry/fake_registry.h"
#include "supply/sign/test_keys.h"

namespace cbuild::engine {
namespace {

std::string read_key(const std::string& path) {
  if (path == "ec") return supply::testing::kEcPublic;
  if (path == "ed") return supply::testing::kEdPublic;
  throw Error(ErrorCode::not_found, path);
}

SignaturePolicy policy_of(const std::string& json) { return SignaturePolicy::parse(json, read_key); }

constexpr char kAccept[] = R"([{"type": "insecureAcceptAnything"}])";

struct PolicyFixture : oci::registry::ClientFixture {
  oci::registry::FakeRegistry registry;
  Digest image = registry.add_manifest(
      "team/app", "1",
      R"({"schemaVersion":2,"config":{"mediaType":"x","digest":")" + sha256("c").str() + R"(","size":1},"layers":[]})");
  oci::Reference reference = registry.reference("team/app:1");

  /// A signature of `digest` under the tag of `image`.
  void sign(const char* key, const std::string& repository, const Digest& digest) {
    const auto signature =
        put_signature(layout.blobs(), {repository, digest}, supply::SigningKey::parse(key, "k"), {}, std::nullopt);
    for (const oci::Descriptor& blob : {signature.content.layers[0], signature.content.config})
      registry.add_blob("team/app", oci::read_blob(layout.blobs(), blob.digest));
    registry.add_manifest("team/app", supply::signature_tag(image), signature.json);
  }
  bool allows(const std::string& rules) {
    const SignaturePolicy policy = policy_of(cat(R"({"default": )", kAccept, R"(, "transports": {"docker": {")",
                                                 reference.registry, R"(/team": )", rules, "}}}"));
    try {
      policy.check(reference, image, client());
      return true;
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::denied);
      return false;
    }
  }
};

constexpr char kByEc[] = R"([{"type": "sigstoreSigned", "keyPath": "ec"}])";

}  // namespace

TEST_CASE_FIXTURE(PolicyFixture, "an image that needs a signature has to have one of that key and for that image") {
  CHECK(allows(kAccept));
  CHECK_FALSE(allows(R"([{"type": "reject"}])"));
  CHECK_FALSE(allows(kByEc));
  sign(supply::testing::kEdPrivate, reference.name(), image);
  CHECK_FALSE(allows(kByEc));
  sign(supply::testing::kEcPrivate, reference.name(), sha256("another image"));
  CHECK_FALSE(allows(kByEc));
  sign(supply::testing::kEcPrivate, "example.com/other", image);
  CHECK_FALSE(allows(kByEc));
  CHECK(allows(R"([{"type": "sigstoreSigned", "keyPath": "ec",
                    "signedIdentity": {"type": "exactRepository", "dockerRepository": "example.com/other"}}])"));
  sign(supply::testing::kEcPrivate, reference.name(), image);
  CHECK(allows(kByEc));
  CHECK_FALSE(allows(R"([{"type": "sigstoreSigned", "keyPath": "ec"}, {"type": "sigstoreSigned", "keyPath": "ed"}])"));
  CHECK(
      allows(cat(R"([{"type": "sigstoreSigned", "keyData": ")", base64_encode(supply::testing::kEcPublic), R"("}])")));
}

TEST_CASE_FIXTURE(PolicyFixture, "an image is verified by name") {
  VerifyRequest request{reference.str(), {}, {}, {}, std::nullopt};
  request.keys.push_back(supply::PublicKey::parse(supply::testing::kEdPublic, "ed"));
  request.keys.push_back(supply::PublicKey::parse(supply::testing::kEcPublic, "ec"));
  CHECK_FALSE(verify_image(request, watchdog.cancel()).key);
  sign(supply::testing::kEcPrivate, reference.name(), image);
  const VerifyResult found = verify_image(request, watchdog.cancel());
  CHECK(found.key == 1);
  CHECK(found.digest == image);
  CHECK(found.repositories == std::vector<std::string>{reference.name()});
}

TEST_CASE("the most specific scope counts") {
  const SignaturePolicy policy =
      policy_of(cat(R"({"default": [{"type": "reject"}], "transports": {"docker": {"docker.io": )", kAccept,
                    R"(, "docker.io/library/busybox": [{"type": "reject"}], "docker.io/library/busybox:1": )", kAccept,
                    R"(, "*.example.com": )", kAccept, "}, \"other\": 3}}"));
  const auto concerns = [&](const char* name) { return policy.concerns(oci::parse_reference(name)); };
  CHECK_FALSE(concerns("alpine"));
  CHECK(concerns("busybox"));
  CHECK_FALSE(concerns("busybox:1"));
  CHECK_FALSE(concerns("a.b.example.com:5000/x"));
  CHECK(concerns("example.com/x"));
  CHECK(concerns("ghcr.io/x/y"));
}

TEST_CASE("policies that cannot be heeded as a whole are refused") {
  for (const char* json :
       {"", "[]", "{}", R"({"default": []})", R"({"default": 3})", R"({"default": [{"type": "signedBy"}]})",
        R"({"default": [{"type": "sigstoreSigned"}]})", R"({"default": [{"type": "sigstoreSigned", "keyPath": 3}]})",
        R"({"default": [{"type": "sigstoreSigned", "keyData": "***"}]})",
        R"({"default": [{"type": "sigstoreSigned", "keyPath": "missing"}]})",
        R"({"default": [{"type": "sigstoreSigned", "keyPath": "ec", "fulcio": {}}]})",
        R"({"default": [{"type": "sigstoreSigned", "keyPath": "ec", "signedIdentity": {"type": "remapIdentity"}}]})",
        R"({"default": [{"type": "reject"}], "extra": 1})"}) {
    CAPTURE(json);
    CHECK_THROWS_AS(policy_of(json), Error);
  }
}

}  // namespace cbuild::engine
