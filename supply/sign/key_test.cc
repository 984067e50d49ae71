// SPDX-License-Identifier: Apache-2.0
#include "supply/sign/key.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"
#include "supply/sign/test_keys.h"

namespace cbuild::supply {
namespace {

using namespace testing;

struct KeyPair {
  const char* kind;
  const char* secret;
  const char* open;
  const char* signature;
};

constexpr KeyPair kPairs[] = {{"EC", kEcPrivate, kEcPublic, kEcSignature},
                              {"Ed25519", kEdPrivate, kEdPublic, kEdSignature},
                              {"RSA", kRsaPrivate, kRsaPublic, kRsaSignature}};

std::string refusal(const std::string& pem, bool is_private) {
  try {
    is_private ? static_cast<void>(SigningKey::parse(pem, "k")) : static_cast<void>(PublicKey::parse(pem, "k"));
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    return error.message();
  }
  return "taken";
}

}  // namespace

TEST_CASE("signatures that openssl made are verified, and no others") {
  for (const KeyPair& pair : kPairs) {
    CAPTURE(pair.kind);
    const PublicKey key = PublicKey::parse(pair.open, "k");
    std::string signature = base64_decode(pair.signature).value();
    CHECK(key.verifies("payload", signature));
    CHECK_FALSE(key.verifies("payloae", signature));
    CHECK_FALSE(key.verifies("", signature));
    CHECK_FALSE(key.verifies("payload", ""));
    CHECK_FALSE(key.verifies("payload", signature.substr(1)));
    CHECK_FALSE(key.verifies("payload", signature + "x"));
    signature[signature.size() / 2] = static_cast<char>(signature[signature.size() / 2] ^ 1);
    CHECK_FALSE(key.verifies("payload", signature));
    for (const KeyPair& other : kPairs)
      if (other.open != pair.open) CHECK_FALSE(key.verifies("payload", base64_decode(other.signature).value()));
  }
}

TEST_CASE("a signature is verified by the public half only") {
  for (const KeyPair& pair : kPairs) {
    CAPTURE(pair.kind);
    const std::string signature = SigningKey::parse(pair.secret, "k").sign("message");
    for (const KeyPair& other : kPairs)
      CHECK(PublicKey::parse(other.open, "k").verifies("message", signature) == (other.open == pair.open));
  }
  const SigningKey key = SigningKey::parse(kEcPrivate, "k");
  CHECK(key.made("message", key.sign("message")));
  CHECK_FALSE(key.made("other", key.sign("message")));
  const std::string old = SigningKey::parse(kEcOldPrivate, "k").sign("message");
  CHECK(PublicKey::parse(kEcPublic, "k").verifies("message", old));
  CHECK(SigningKey::parse(kEdPrivate, "k").sign("payload") == base64_decode(kEdSignature));
  CHECK(SigningKey::parse(kRsaPrivate, "k").sign("payload") == base64_decode(kRsaSignature));
}

TEST_CASE("texts that are not such keys are refused") {
  CHECK(refusal("", true) == "key k: is not a private key in PEM");
  CHECK(refusal("junk", false) == "key k: is not a public key in PEM");
  CHECK(refusal(kEcPublic, true) == "key k: is not a private key in PEM");
  CHECK(refusal(kEcPrivate, false) == "key k: is not a public key in PEM");
  CHECK(refusal(kX25519Private, true) == "key k: is of a kind that is not supported");
  CHECK(refusal("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n", true) ==
        "key k: is encrypted, and COSIGN_PASSWORD is not set");
}

}  // namespace cbuild::supply
