// SPDX-License-Identifier: Apache-2.0
#include "supply/sign/encrypted_key.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"
#include "supply/sign/key.h"
#include "supply/sign/test_keys.h"

namespace cbuild::supply {
namespace {

using namespace testing;

std::string refusal_of(const std::string& pem, const std::optional<std::string>& password) {
  try {
    SigningKey::parse(pem, "k", password);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    return error.message();
  }
  return "taken";
}

std::string cosign_pem(const std::string& json) {
  return cat("-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n", base64_encode(json),
             "\n-----END ENCRYPTED COSIGN PRIVATE KEY-----\n");
}

}  // namespace

TEST_CASE("encrypted keys sign with their password") {
  for (const char* pem : {kEcCosignPrivate, kEcEncryptedPrivate}) {
    const SigningKey key = SigningKey::parse(pem, "k", kKeyPassword);
    CHECK(PublicKey::parse(kEcPublic, "k").verifies("payload", key.sign("payload")));
    CHECK(refusal_of(pem, std::nullopt) == "key k: is encrypted, and COSIGN_PASSWORD is not set");
    for (const char* wrong : {"", "correct hors", "correct horse "})
      CHECK(refusal_of(pem, wrong) == "key k: the password in COSIGN_PASSWORD is not the key's");
  }
  CHECK(refusal_of(kEcPrivate, kKeyPassword) == "taken");  // not encrypted: the variable may be there for another one
}

TEST_CASE("a damaged or hostile key of cosign's is refused") {
  CHECK(is_cosign_key(kEcCosignPrivate));
  CHECK_FALSE(is_cosign_key(kEcEncryptedPrivate));
  std::string flipped = kEcCosignPrivate;
  flipped[flipped.size() - 100] = flipped[flipped.size() - 100] == 'A' ? 'B' : 'A';
  CHECK(refusal_of(flipped, kKeyPassword) != "taken");
  CHECK(refusal_of(std::string(kEcCosignPrivate).substr(0, 300), kKeyPassword) == "key k: is damaged");
  const auto with = [](const std::string& kdf) {
    return cosign_pem(
        cat(R"({"kdf":)", kdf, R"(,"cipher":{"name":"nacl/secretbox","nonce":"AAAA"},"ciphertext":"AAAA"})"));
  };
  for (const char* kdf : {"1", "{}", R"({"name":"pbkdf2","params":{},"salt":"AA=="})",
                          R"({"name":"scrypt","params":{"N":1073741824,"r":8,"p":1},"salt":"AAAA"})",
                          R"({"name":"scrypt","params":{"N":65536,"r":1048576,"p":1},"salt":"AAAA"})",
                          R"({"name":"scrypt","params":{"N":3,"r":8,"p":1},"salt":"AAAA"})",
                          R"({"name":"scrypt","params":{"N":-1,"r":8,"p":1},"salt":"AAAA"})",
                          R"({"name":"scrypt","params":{"N":16,"r":8,"p":1000000},"salt":"AAAA"})",
                          R"({"name":"scrypt","params":{"N":16,"r":8,"p":1},"salt":7})",
                          R"({"name":"scrypt","params":{"N":16,"r":8,"p":1},"salt":"AAAA"})"})
    CHECK_MESSAGE(refusal_of(with(kdf), kKeyPassword) != "taken", kdf);
  CHECK(refusal_of(cosign_pem("{}"), kKeyPassword) == "key k: has no cipher");
  CHECK(refusal_of(cosign_pem("no JSON"), kKeyPassword) == "key k: is damaged");
}

}  // namespace cbuild::supply
