// SPDX-License-Identifier: Apache-2.0
// NaCl's secret box, for keys that cosign encrypts; libcrypto has no Salsa20. XSalsa20 is HSalsa20 of the key and the
// first 16 bytes of the nonce, whose result is the key of Salsa20 with the other 8 bytes ("Extending the Salsa20
// nonce", Bernstein 2011). The first 32 bytes of that stream are the key of Poly1305 (RFC 8439, 2.5), the rest is the
// cipher's. A key is a few hundred bytes: this is written to be checked, not to be fast.
#include "supply/sign/secretbox.h"

#include <algorithm>
#include <bit>

namespace cbuild::supply {
namespace {

constexpr std::size_t kKeySize = 32, kNonceSize = 24, kTagSize = 16;

using Words = std::array<std::uint32_t, 16>;

std::uint32_t word_at(std::string_view bytes, std::size_t at) {
  std::uint32_t out = 0;
  for (std::size_t i = 4; i-- > 0;) out = out << 8 | static_cast<unsigned char>(bytes[at + i]);
  return out;
}

void append_word(std::string& out, std::uint32_t word) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(word >> (8 * i) & 0xff);
}

/// Constants on the diagonal, the key around them, 16 bytes of input in the middle.
Words state_of(std::string_view key, std::string_view input) {
  constexpr std::string_view kConstant = "expand 32-byte k";
  Words x{};
  for (std::size_t i = 0; i < 4; ++i) {
    x[5 * i] = word_at(kConstant, 4 * i);
    x[1 + i] = word_at(key, 4 * i);
    x[11 + i] = word_at(key, 16 + 4 * i);
    x[6 + i] = word_at(input, 4 * i);
  }
  return x;
}

void quarter(Words& x, std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
  x[b] ^= std::rotl(x[a] + x[d], 7);
  x[c] ^= std::rotl(x[b] + x[a], 9);
  x[d] ^= std::rotl(x[c] + x[b], 13);
  x[a] ^= std::rotl(x[d] + x[c], 18);
}

/// Twenty rounds.
Words mixed(Words x) {
  for (int i = 0; i < 10; ++i) {
    quarter(x, 0, 4, 8, 12), quarter(x, 5, 9, 13, 1), quarter(x, 10, 14, 2, 6), quarter(x, 15, 3, 7, 11);
    quarter(x, 0, 1, 2, 3), quarter(x, 5, 6, 7, 4), quarter(x, 10, 11, 8, 9), quarter(x, 15, 12, 13, 14);
  }
  return x;
}

std::string hsalsa20(std::string_view key, std::string_view input) {
  const Words z = mixed(state_of(key, input));
  std::string out;
  for (const std::size_t i : {0, 5, 10, 15, 6, 7, 8, 9}) append_word(out, z[i]);
  return out;
}

/// `size` bytes of the key stream.
std::string salsa20(std::string_view key, std::string_view nonce, std::size_t size) {
  std::string out;
  for (std::uint64_t counter = 0; out.size() < size; ++counter) {
    std::string input(nonce);
    append_word(input, static_cast<std::uint32_t>(counter));
    append_word(input, static_cast<std::uint32_t>(counter >> 32));
    const Words before = state_of(key, input), after = mixed(before);
    for (std::size_t i = 0; i < before.size(); ++i) append_word(out, before[i] + after[i]);
  }
  out.resize(size);
  return out;
}

/// Numbers modulo 2^130 - 5 in limbs of 26 bits.
using Limbs = std::array<std::uint64_t, 5>;

constexpr std::uint64_t kLimb = (1u << 26) - 1;

Limbs limbs_of(std::string_view bytes17) {
  Limbs out{};
  for (std::size_t bit = 0; bit < 17 * 8; ++bit)
    if ((static_cast<unsigned char>(bytes17[bit / 8]) >> (bit % 8) & 1) != 0)
      out[std::min<std::size_t>(bit / 26, 4)] |= std::uint64_t{1} << (bit - 26 * std::min<std::size_t>(bit / 26, 4));
  return out;
}

void carry(Limbs& h) {
  for (int pass = 0; pass < 2; ++pass) {
    for (std::size_t i = 0; i < 4; ++i) {
      h[i + 1] += h[i] >> 26;
      h[i] &= kLimb;
    }
    h[0] += 5 * (h[4] >> 26);
    h[4] &= kLimb;
  }
}

Limbs times(const Limbs& a, const Limbs& b) {
  Limbs out{};
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t j = 0; j < 5; ++j) out[(i + j) % 5] += a[i] * b[j] * (i + j >= 5 ? 5 : 1);
  carry(out);
  return out;
}

std::string poly1305(std::string_view key, std::string_view message) {
  std::string clamped(key.substr(0, 16));
  for (const std::size_t i : {3, 7, 11, 15}) clamped[i] = static_cast<char>(clamped[i] & 15);
  for (const std::size_t i : {4, 8, 12}) clamped[i] = static_cast<char>(clamped[i] & 252);
  const Limbs r = limbs_of(clamped + '\0');
  Limbs h{};
  for (std::size_t at = 0; at < message.size(); at += 16) {
    std::string part(message.substr(at, 16));
    part += '\x01';
    part.resize(17, '\0');
    const Limbs block = limbs_of(part);
    for (std::size_t i = 0; i < 5; ++i) h[i] += block[i];
    h = times(h, r);
  }
  // The number below 2^130 - 5, then the second half of the key, modulo 2^128.
  Limbs less = h;
  less[0] += 5;
  for (std::size_t i = 0; i < 4; ++i) {
    less[i + 1] += less[i] >> 26;
    less[i] &= kLimb;
  }
  if (less[4] >> 26 != 0) {
    less[4] &= kLimb;
    h = less;
  }
  std::string tag;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    std::uint64_t byte = 0;
    for (std::size_t bit = 8 * i; bit < 8 * i + 8; ++bit) byte |= (h[bit / 26] >> (bit % 26) & 1) << (bit % 8);
    sum += byte + static_cast<unsigned char>(key[16 + i]);
    tag += static_cast<char>(sum & 0xff);
    sum >>= 8;
  }
  return tag;
}

/// In a time that does not depend on where they differ.
bool are_same(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

std::optional<std::string> open_secretbox(std::string_view key, std::string_view nonce, std::string_view box) {
  if (key.size() != kKeySize || nonce.size() != kNonceSize || box.size() < kTagSize) return std::nullopt;
  const std::string_view tag = box.substr(0, kTagSize), cipher = box.substr(kTagSize);
  const std::string stream = salsa20(hsalsa20(key, nonce.substr(0, 16)), nonce.substr(16), kKeySize + cipher.size());
  if (!are_same(tag, poly1305(std::string_view(stream).substr(0, kKeySize), cipher))) return std::nullopt;
  std::string out(cipher);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(out[i] ^ stream[kKeySize + i]);
  return out;
}

}  // namespace cbuild::supply
