// SPDX-License-Identifier: Apache-2.0
#include "base/hmac.h"

#include <algorithm>
#include <string>

namespace cbuild {

namespace {

constexpr std::size_t kBlock = 64;
constexpr unsigned char kInner = 0x36, kOuter = 0x5c;

std::string_view as_text(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

std::string padded(std::string_view key, unsigned char pad) {
  std::string block(key);
  block.resize(kBlock, '\0');
  std::transform(block.begin(), block.end(), block.begin(),
                 [pad](char c) { return static_cast<char>(static_cast<unsigned char>(c) ^ pad); });
  return block;
}

}  // namespace

Digest hmac_sha256(std::string_view key, std::string_view data) {
  const Digest hashed_key = key.size() > kBlock ? sha256(key) : Digest{};
  if (key.size() > kBlock) key = as_text(hashed_key);
  Sha256 inner, outer;
  const Digest message = inner.update(padded(key, kInner)).update(data).finish();
  return outer.update(padded(key, kOuter)).update(as_text(message)).finish();
}

}  // namespace cbuild
