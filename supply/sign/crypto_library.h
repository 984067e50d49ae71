// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

// OpenSSL's own types are left alone here: this header stands in others that must not have them.
struct bio_st;
struct evp_pkey_st;
struct evp_md_ctx_st;
struct evp_md_st;
struct evp_pkey_ctx_st;
struct ossl_lib_ctx_st;
struct engine_st;

namespace cbuild::supply {

/// The functions of libcrypto that keys need. The library is opened when the first key is read, so that a build without
/// signatures never pays for it; a static program has it linked in.
struct CryptoLibrary {
  /// The one of this process. Throws Error{unsupported} where there is none.
  static const CryptoLibrary& get();

  using PasswordCallback = int(char*, int, int, void*);
  bio_st* (*new_buffer)(const void*, int) = nullptr;
  int (*free_buffer)(bio_st*) = nullptr;
  evp_pkey_st* (*read_private)(bio_st*, evp_pkey_st**, PasswordCallback*, void*) = nullptr;
  evp_pkey_st* (*read_public)(bio_st*, evp_pkey_st**, PasswordCallback*, void*) = nullptr;
  void (*free_key)(evp_pkey_st*) = nullptr;
  int (*key_kind)(const evp_pkey_st*) = nullptr;
  int (*key_bits)(const evp_pkey_st*) = nullptr;
  int (*group_name)(const evp_pkey_st*, char*, std::size_t, std::size_t*) = nullptr;
  evp_md_ctx_st* (*new_context)() = nullptr;
  void (*free_context)(evp_md_ctx_st*) = nullptr;
  const evp_md_st* (*sha256)() = nullptr;
  int (*begin_sign)(evp_md_ctx_st*, evp_pkey_ctx_st**, const evp_md_st*, engine_st*, evp_pkey_st*) = nullptr;
  int (*sign)(evp_md_ctx_st*, unsigned char*, std::size_t*, const unsigned char*, std::size_t) = nullptr;
  int (*begin_verify)(evp_md_ctx_st*, evp_pkey_ctx_st**, const evp_md_st*, engine_st*, evp_pkey_st*) = nullptr;
  int (*verify)(evp_md_ctx_st*, const unsigned char*, std::size_t, const unsigned char*, std::size_t) = nullptr;
  int (*scrypt)(const char*, std::size_t, const unsigned char*, std::size_t, std::uint64_t, std::uint64_t,
                std::uint64_t, std::uint64_t, unsigned char*, std::size_t) = nullptr;
  void (*clear_errors)() = nullptr;

 private:
  CryptoLibrary();
};

}  // namespace cbuild::supply
