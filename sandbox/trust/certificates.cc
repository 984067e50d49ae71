// SPDX-License-Identifier: Apache-2.0
#include "sandbox/trust/certificates.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::sandbox::trust {
namespace {

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----", kEnd = "-----END CERTIFICATE-----";

bool is_certificate(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const std::unique_ptr<X509, void (*)(X509*)> read(d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free);
  return read && at == reinterpret_cast<const unsigned char*>(der.data()) + der.size();
}

std::string big_endian(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes; i-- > 0;) out += static_cast<char>(value >> (8 * i));
  return out;
}

/// As Java's DataOutput writes text that is ASCII.
std::string java_text(std::string_view text) { return cat(big_endian(text.size(), 2), text); }

/// The check sum at the end of a key store: the password in UTF-16, a salt that never changes, and all that is before.
std::string java_digest(const std::string& store) {
  std::string text;
  for (const char c : std::string_view(kKeyStorePassword)) {
    text += '\0';
    text += c;
  }
  text += "Mighty Aphrodite" + store;
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  CBUILD_CHECK(EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_sha1(), nullptr) == 1);
  return {reinterpret_cast<const char*>(out.data()), size};
}

}  // namespace

std::vector<std::string> read_pem(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = text.find(kBegin); at != std::string_view::npos; at = text.find(kBegin, at)) {
    const std::size_t begin = at + kBegin.size(), end = text.find(kEnd, begin);
    const std::string which = cat("certificate ", out.size() + 1);
    if (end == std::string_view::npos) throw Error(ErrorCode::usage, cat(which, " is cut off"));
    std::string body;
    for (const char c : text.substr(begin, end - begin))
      if (c != '\n' && c != '\r' && c != ' ' && c != '\t') body += c;
    const auto der = base64_decode(body);
    if (!der || !is_certificate(*der)) throw Error(ErrorCode::usage, cat(which, " is not a certificate"));
    if (std::find(out.begin(), out.end(), *der) == out.end()) out.push_back(*der);
    at = end;
  }
  return out;
}

std::string java_key_store(const std::vector<std::string>& certificates) {
  constexpr std::uint32_t kMagic = 0xfeedfeed, kVersion = 2, kTrusted = 2;
  std::string out = big_endian(kMagic, 4) + big_endian(kVersion, 4) + big_endian(certificates.size(), 4);
  for (std::size_t i = 0; i < certificates.size(); ++i)
    out += cat(big_endian(kTrusted, 4), java_text(cat("ca-", i + 1)), big_endian(0, 8), java_text("X.509"),
               big_endian(certificates[i].size(), 4), certificates[i]);
  return out + java_digest(out);
}

}  // namespace cbuild::sandbox::trust
