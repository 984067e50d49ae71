// SPDX-License-Identifier: Apache-2.0
#include "supply/sign/key.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "supply/sign/crypto_library.h"
#include "supply/sign/encrypted_key.h"

namespace cbuild::supply {
namespace {

constexpr int kLeastRsaBits = 2048;

/// A key of either half.
struct KeyHolder {
  const CryptoLibrary& crypto;
  evp_pkey_st* key = nullptr;
  const evp_md_st* digest = nullptr;  ///< null: the algorithm has its own

  explicit KeyHolder(const CryptoLibrary& library) : crypto(library) {}
  KeyHolder(const KeyHolder&) = delete;
  KeyHolder& operator=(const KeyHolder&) = delete;
  ~KeyHolder() {
    if (key != nullptr) crypto.free_key(key);
  }
};

using MessageContext = std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)>;

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

[[noreturn]] void refuse_key(const std::string& name, const std::string& why) {
  throw Error(ErrorCode::usage, cat("key ", name, ": ", why))
      .with_hint("ECDSA P-256, RSA or Ed25519 in PEM, for example by openssl genpkey");
}

/// For PEM_read_bio: `password` is an optional<string>. One is never asked for.
int give_password(char* buffer, int size, int, void* password) {
  const auto& given = *static_cast<const std::optional<std::string>*>(password);
  if (!given || given->size() > static_cast<std::size_t>(size)) return -1;
  std::copy(given->begin(), given->end(), buffer);
  return static_cast<int>(given->size());
}

bool is_p256(const KeyHolder& holder) {
  std::array<char, 64> name{};
  std::size_t size = 0;
  return holder.crypto.group_name(holder.key, name.data(), name.size(), &size) == 1 &&
         std::string_view(name.data(), size) == "prime256v1";
}

void read_key(KeyHolder& holder, const std::string& pem, const std::string& name, bool is_private,
              std::optional<std::string> password) {
  const bool encrypted = pem.find("ENCRYPTED") != std::string::npos;
  if (encrypted && !password) refuse_key(name, "is encrypted, and COSIGN_PASSWORD is not set");
  if (pem.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) refuse_key(name, "is too large");
  const CryptoLibrary& crypto = holder.crypto;
  const std::unique_ptr<bio_st, int (*)(bio_st*)> buffer(crypto.new_buffer(pem.data(), static_cast<int>(pem.size())),
                                                         crypto.free_buffer);
  holder.key = (is_private ? crypto.read_private : crypto.read_public)(buffer.get(), nullptr, give_password, &password);
  crypto.clear_errors();
  if (holder.key == nullptr && encrypted) refuse_key(name, "the password in COSIGN_PASSWORD is not the key's");
  if (holder.key == nullptr) refuse_key(name, cat("is not a ", is_private ? "private" : "public", " key in PEM"));
  const int kind = crypto.key_kind(holder.key);
  if (kind != EVP_PKEY_ED25519) holder.digest = crypto.sha256();
  const bool known = (kind == EVP_PKEY_EC && is_p256(holder)) || kind == EVP_PKEY_ED25519 ||
                     (kind == EVP_PKEY_RSA && crypto.key_bits(holder.key) >= kLeastRsaBits);
  if (!known) refuse_key(name, "is of a kind that is not supported");
}

bool is_signature(const KeyHolder& holder, std::string_view message, std::string_view signature) {
  const CryptoLibrary& crypto = holder.crypto;
  const MessageContext context(crypto.new_context(), crypto.free_context);
  const bool done =
      crypto.begin_verify(context.get(), nullptr, holder.digest, nullptr, holder.key) == 1 &&
      crypto.verify(context.get(), bytes(signature), signature.size(), bytes(message), message.size()) == 1;
  crypto.clear_errors();
  return done;
}

}  // namespace

struct SigningKey::Impl : KeyHolder {
  using KeyHolder::KeyHolder;
};
struct PublicKey::Impl : KeyHolder {
  using KeyHolder::KeyHolder;
};

SigningKey::SigningKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SigningKey::~SigningKey() = default;
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;

SigningKey SigningKey::parse(const std::string& pem, const std::string& name,
                             const std::optional<std::string>& password) {
  auto impl = std::make_unique<Impl>(CryptoLibrary::get());
  if (!is_cosign_key(pem)) {
    read_key(*impl, pem, name, true, password);
    return SigningKey(std::move(impl));
  }
  if (!password) refuse_key(name, "is encrypted, and COSIGN_PASSWORD is not set");
  read_key(*impl, decrypt_cosign_key(pem, *password, name), name, true, std::nullopt);
  return SigningKey(std::move(impl));
}

std::string SigningKey::sign(std::string_view message) const {
  const CryptoLibrary& crypto = impl_->crypto;
  const MessageContext context(crypto.new_context(), crypto.free_context);
  std::size_t size = 0;
  std::string out;
  bool done = crypto.begin_sign(context.get(), nullptr, impl_->digest, nullptr, impl_->key) == 1 &&
              crypto.sign(context.get(), nullptr, &size, bytes(message), message.size()) == 1;
  if (done) {
    out.resize(size);
    done = crypto.sign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes(message),
                       message.size()) == 1;
    out.resize(size);
  }
  crypto.clear_errors();
  if (!done) throw Error(ErrorCode::internal, "libcrypto does not sign with this key");
  return out;
}

bool SigningKey::made(std::string_view message, std::string_view signature) const {
  return is_signature(*impl_, message, signature);
}

PublicKey::PublicKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PublicKey::~PublicKey() = default;
PublicKey::PublicKey(PublicKey&&) noexcept = default;
PublicKey& PublicKey::operator=(PublicKey&&) noexcept = default;

PublicKey PublicKey::parse(const std::string& pem, const std::string& name) {
  auto impl = std::make_unique<Impl>(CryptoLibrary::get());
  read_key(*impl, pem, name, false, std::nullopt);
  return PublicKey(std::move(impl));
}

bool PublicKey::verifies(std::string_view message, std::string_view signature) const {
  return is_signature(*impl_, message, signature);
}

}  // namespace cbuild::supply
