// SPDX-License-Identifier: Apache-2.0
// The vector of NaCl's own tests ("Cryptography in NaCl", section 10).
#include "supply/sign/secretbox.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace cbuild::supply {
namespace {

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) out += static_cast<char>(parse_int(hex.substr(i, 2), 16).value());
  return out;
}

const std::string kKey = from_hex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
const std::string kNonce = from_hex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
const std::string kMessage = from_hex(
    "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4"
    "1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52"
    "f0a089bc76897040e082f937763848645e0705");
const std::string kBox = from_hex(
    "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b"
    "4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da"
    "99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5");

}  // namespace

TEST_CASE("a secret box opens with its key and nonce, and no other") {
  CHECK(open_secretbox(kKey, kNonce, kBox) == kMessage);
  for (std::size_t i = 0; i < kBox.size(); i += 7) {
    std::string flipped = kBox;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    CHECK_FALSE(open_secretbox(kKey, kNonce, flipped));
  }
  std::string other = kKey;
  other[31] = static_cast<char>(other[31] ^ 1);
  CHECK_FALSE(open_secretbox(other, kNonce, kBox));
  other = kNonce;
  other[23] = static_cast<char>(other[23] ^ 1);
  CHECK_FALSE(open_secretbox(kKey, other, kBox));
  CHECK_FALSE(open_secretbox(kKey, kNonce, kBox.substr(0, kBox.size() - 1)));
}

TEST_CASE("a secret box of another size is refused") {
  CHECK_FALSE(open_secretbox(kKey.substr(1), kNonce, kBox));
  CHECK_FALSE(open_secretbox(kKey, kNonce.substr(1), kBox));
  CHECK_FALSE(open_secretbox(kKey, kNonce, kBox.substr(0, 15)));
  CHECK_FALSE(open_secretbox(kKey, kNonce, ""));
}

}  // namespace cbuild::supply
