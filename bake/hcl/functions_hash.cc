// SPDX-License-Identifier: Apache-2.0
#include <crypt.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <memory>

#include "bake/hcl/functions.h"
#include "base/random.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

std::string hex(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes)
    (out += kHex[static_cast<unsigned char>(c) >> 4]) += kHex[static_cast<unsigned char>(c) & 15];
  return out;
}

std::string digest_of(const EVP_MD* kind, std::string_view data) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(data.data(), data.size(), out, &size, kind, nullptr) != 1) throw ValueError("digest failed");
  return {reinterpret_cast<const char*>(out), size};
}

template <const EVP_MD* (*kKind)()>
Value digest(const Values& arguments) {
  return Value::string(hex(digest_of(kKind(), arguments[0].as_string())));
}

Value bcrypt(const Values& arguments) {
  std::int64_t cost = 10;
  if (arguments.size() > 2) throw ValueError("function takes one or two arguments");
  if (arguments.size() > 1) {
    const auto given = convert(arguments[1], Type::number()).as_number().whole();
    if (!given || *given > 16) throw ValueError("cost is not between 4 and 16");
    if (*given >= 4) cost = *given;
  }
  const std::string& text = convert(arguments[0], Type::string()).as_string();
  if (text.size() > 72) throw ValueError("text is longer than 72 bytes");
  char setting[CRYPT_GENSALT_OUTPUT_SIZE];
  const auto data = std::make_unique<crypt_data>();
  if (!crypt_gensalt_rn("$2a$", static_cast<unsigned long>(cost), nullptr, 0, setting, sizeof setting))
    throw ValueError("cannot make a salt");
  const char* out = crypt_r(text.c_str(), setting, data.get());
  if (!out || out[0] != '$') throw ValueError("cannot hash the text");
  return Value::string(out);
}

struct KeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};

/// No terminal is asked for the password of a key.
int no_password(char*, int, int, void*) { return 0; }

Value rsa_decrypt(const Values& arguments) {
  const auto data = base64_decode(arguments[0].as_string());
  if (!data) throw ValueError("value is not base64");
  const std::string& pem = arguments[1].as_string();
  const std::unique_ptr<BIO, KeyFree> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const std::unique_ptr<EVP_PKEY, KeyFree> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (!key) throw ValueError("key is not a private key in PEM without a password");
  const std::unique_ptr<EVP_PKEY_CTX, KeyFree> context(EVP_PKEY_CTX_new(key.get(), nullptr));
  if (!context || EVP_PKEY_decrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1)
    throw ValueError("key is not an RSA key");
  const auto* bytes = reinterpret_cast<const unsigned char*>(data->data());
  std::string out(static_cast<std::size_t>(EVP_PKEY_get_size(key.get())), '\0');
  std::size_t size = out.size();
  if (EVP_PKEY_decrypt(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes, data->size()) != 1)
    throw ValueError("value does not decrypt with the key");
  out.resize(size);
  return Value::string(std::move(out));
}

std::string uuid_text(std::string bytes, unsigned version) {
  bytes[6] = static_cast<char>((static_cast<unsigned char>(bytes[6]) & 0x0f) | (version << 4));
  bytes[8] = static_cast<char>((static_cast<unsigned char>(bytes[8]) & 0x3f) | 0x80);
  const std::string text = hex(bytes);
  return cat(text.substr(0, 8), "-", text.substr(8, 4), "-", text.substr(12, 4), "-", text.substr(16, 4), "-",
             text.substr(20, 12));
}

std::string bytes_of_hex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const auto value = parse_int(text.substr(i, 2), 16);
    if (!value || *value < 0) throw ValueError("namespace is not a UUID, dns, url, oid or x500");
    out += static_cast<char>(*value);
  }
  return out;
}

Value uuid_random(const Values&) { return Value::string(uuid_text(bytes_of_hex(random_hex() + random_hex()), 4)); }

Value uuid_named(const Values& arguments) {
  std::string space = arguments[0].as_string();
  static constexpr std::array<std::string_view, 4> kNames = {"dns", "url", "oid", "x500"};
  static constexpr std::array<std::string_view, 4> kFirst = {"6ba7b810", "6ba7b811", "6ba7b812", "6ba7b814"};
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (space == kNames[i]) space = cat(kFirst[i], "9dad11d180b400c04fd430c8");
  space = bytes_of_hex(replace_all(space, "-", ""));
  if (space.size() != 16) throw ValueError("namespace is not a UUID, dns, url, oid or x500");
  return Value::string(uuid_text(digest_of(EVP_sha1(), space + arguments[1].as_string()).substr(0, 16), 5));
}

constexpr Function kHashFunctions[] = {
    {"bcrypt", "dd*", bcrypt},       {"md5", "s", digest<EVP_md5>},       {"rsadecrypt", "ss", rsa_decrypt},
    {"sha1", "s", digest<EVP_sha1>}, {"sha256", "s", digest<EVP_sha256>}, {"sha512", "s", digest<EVP_sha512>},
    {"uuidv4", "", uuid_random},     {"uuidv5", "ss", uuid_named},
};

}  // namespace

std::span<const Function> hash_functions() { return kHashFunctions; }

}  // namespace cbuild::bake::hcl
