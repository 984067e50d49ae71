// SPDX-License-Identifier: Apache-2.0
#include "supply/sign/encrypted_key.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "supply/sign/crypto_library.h"
#include "supply/sign/secretbox.h"

namespace cbuild::supply {
namespace {

using KeyJson = nlohmann::json;

constexpr const char* kTypes[] = {"ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"};
constexpr std::uint64_t kMostMemory = 256u << 20;

[[noreturn]] void refuse_encrypted(const std::string& name, const std::string& why) {
  throw Error(ErrorCode::usage, cat("key ", name, ": ", why));
}

/// The content of the first PEM block of a type; nullopt if there is none.
std::optional<std::string> pem_content(const std::string& pem, const std::string& type) {
  const std::string begin = cat("-----BEGIN ", type, "-----"), end = cat("-----END ", type, "-----");
  const std::size_t first = pem.find(begin), last = pem.find(end);
  if (first == std::string::npos || last == std::string::npos || last < first) return std::nullopt;
  return base64_decode(trim(pem.substr(first + begin.size(), last - first - begin.size())));
}

const KeyJson& member(const KeyJson& json, const char* name, const std::string& key) {
  const auto found = json.is_object() ? json.find(name) : json.end();
  if (found == json.end()) refuse_encrypted(key, cat("has no ", name));
  return *found;
}

std::string bytes_of(const KeyJson& json, const char* name, const std::string& key) {
  const KeyJson& text = member(json, name, key);
  const auto bytes = text.is_string() ? base64_decode(text.get<std::string>()) : std::nullopt;
  if (!bytes) refuse_encrypted(key, cat(name, " is not base64"));
  return *bytes;
}

std::uint64_t number_of(const KeyJson& json, const char* name, const std::string& key) {
  const KeyJson& number = member(json, name, key);
  if (!number.is_number_unsigned() || number == 0) refuse_encrypted(key, cat(name, " is not a number"));
  return number.get<std::uint64_t>();
}

/// The key of the box, by scrypt (RFC 7914).
std::string derive(const KeyJson& kdf, const std::string& password, const std::string& name) {
  if (member(kdf, "name", name) != "scrypt") refuse_encrypted(name, "its key is not derived by scrypt");
  const KeyJson& params = member(kdf, "params", name);
  const std::uint64_t cost = number_of(params, "N", name), block = number_of(params, "r", name),
                      parallel = number_of(params, "p", name);
  const std::string salt = bytes_of(kdf, "salt", name);
  constexpr std::uint64_t kMost = 1u << 20;
  if (cost > kMost || block > kMost || parallel > 16 || 128 * cost * block > kMostMemory)
    refuse_encrypted(name, "asks for more than 256 MiB to be decrypted");
  std::string out(32, '\0');
  const CryptoLibrary& crypto = CryptoLibrary::get();
  const int done =
      crypto.scrypt(password.data(), password.size(), reinterpret_cast<const unsigned char*>(salt.data()), salt.size(),
                    cost, block, parallel, 2 * kMostMemory, reinterpret_cast<unsigned char*>(out.data()), out.size());
  crypto.clear_errors();
  if (done != 1) refuse_encrypted(name, "has parameters that scrypt does not take");
  return out;
}

}  // namespace

bool is_cosign_key(const std::string& pem) {
  for (const char* type : kTypes)
    if (pem.find(cat("-----BEGIN ", type, "-----")) != std::string::npos) return true;
  return false;
}

std::string decrypt_cosign_key(const std::string& pem, const std::string& password, const std::string& name) {
  std::optional<std::string> content;
  for (const char* type : kTypes)
    if (!content) content = pem_content(pem, type);
  const KeyJson json = KeyJson::parse(content.value_or(""), nullptr, false);
  if (!json.is_object()) refuse_encrypted(name, "is damaged");
  const KeyJson& cipher = member(json, "cipher", name);
  if (member(cipher, "name", name) != "nacl/secretbox") refuse_encrypted(name, "is encrypted in an unknown way");
  const std::string nonce = bytes_of(cipher, "nonce", name), box = bytes_of(json, "ciphertext", name);
  const auto plain = open_secretbox(derive(member(json, "kdf", name), password, name), nonce, box);
  if (!plain) refuse_encrypted(name, "the password in COSIGN_PASSWORD is not the key's");
  std::string out = "-----BEGIN PRIVATE KEY-----\n";
  const std::string text = base64_encode(*plain);
  for (std::size_t at = 0; at < text.size(); at += 64) out += cat(text.substr(at, 64), "\n");
  return out + "-----END PRIVATE KEY-----\n";
}

}  // namespace cbuild::supply
