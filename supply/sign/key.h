// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace cbuild::supply {

/// Keys for signatures: ECDSA on P-256 and RSA of 2048 bits and more, both with SHA-256 (RSA by PKCS #1 v1.5), and
/// Ed25519; what cosign makes of such keys. OpenSSL's libcrypto is opened on first use. Immutable, thread-safe.
class SigningKey {
 public:
  /// A private key in PEM: PKCS #8, the older forms of EC and RSA keys, or cosign's own form
  /// (supply/sign/encrypted_key.h). `name` is for messages. Throws Error{usage} for any other text, for other kinds of
  /// keys, and for an encrypted one without its password.
  static SigningKey parse(const std::string& pem, const std::string& name,
                          const std::optional<std::string>& password = std::nullopt);
  ~SigningKey();
  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;

  /// The signature's bytes (ECDSA: ASN.1 DER).
  std::string sign(std::string_view message) const;
  /// Whether `signature` is this key's.
  bool made(std::string_view message, std::string_view signature) const;

 private:
  struct Impl;
  explicit SigningKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class PublicKey {
 public:
  /// A public key in PEM ("BEGIN PUBLIC KEY"). Throws as SigningKey::parse().
  static PublicKey parse(const std::string& pem, const std::string& name);
  ~PublicKey();
  PublicKey(PublicKey&&) noexcept;
  PublicKey& operator=(PublicKey&&) noexcept;

  /// False for anything that is not this key's signature of `message`.
  bool verifies(std::string_view message, std::string_view signature) const;

 private:
  struct Impl;
  explicit PublicKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::supply
