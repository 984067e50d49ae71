// SPDX-License-Identifier: Apache-2.0
#define OPENSSL_SUPPRESS_DEPRECATED
#include "oci/sha512.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>

namespace cbuild::oci {

namespace {
constexpr std::string_view kSha512Prefix = "sha512:";
constexpr char kSha512Digits[] = "0123456789abcdef";
}  // namespace

struct Sha512::State {
  SHA512_CTX context;
};

Sha512::Sha512() : state_(std::make_unique<State>()) { SHA512_Init(&state_->context); }
Sha512::~Sha512() = default;
Sha512::Sha512(Sha512&&) noexcept = default;
Sha512& Sha512::operator=(Sha512&&) noexcept = default;

Sha512& Sha512::update(std::span<const std::byte> data) {
  SHA512_Update(&state_->context, data.data(), data.size());
  return *this;
}

std::string Sha512::finish() {
  std::array<unsigned char, SHA512_DIGEST_LENGTH> bytes{};
  SHA512_Final(bytes.data(), &state_->context);
  std::string out(kSha512Prefix);
  for (const unsigned char byte : bytes) {
    out += kSha512Digits[byte >> 4];
    out += kSha512Digits[byte & 15];
  }
  return out;
}

std::string sha512(std::string_view data) { return Sha512().update(std::as_bytes(std::span(data))).finish(); }

bool is_sha512(std::string_view text) {
  if (!text.starts_with(kSha512Prefix) || text.size() != kSha512Prefix.size() + std::size_t{2} * SHA512_DIGEST_LENGTH)
    return false;
  text.remove_prefix(kSha512Prefix.size());
  return text.find_first_not_of(kSha512Digits) == std::string_view::npos;
}

}  // namespace cbuild::oci
