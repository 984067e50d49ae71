// SPDX-License-Identifier: Apache-2.0
#include "supply/sign/crypto_library.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::supply {
namespace {

#ifdef CBUILD_STATIC
#define CBUILD_CRYPTO_BIND(member, name) member = &::name
#else
void* open_crypto() {
  // It registers exit handlers, so it is never unloaded.
  if (void* handle = ::dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) return handle;
  const char* reason = ::dlerror();
  throw Error(ErrorCode::unsupported,
              cat("cannot open libcrypto.so.3, which signatures need: ", reason == nullptr ? "unknown error" : reason))
      .with_hint("install OpenSSL 3 (Debian: libssl3)");
}

template <typename Function>
void bind_crypto(void* handle, const char* name, Function& function) {
  void* symbol = ::dlsym(handle, name);
  if (symbol == nullptr) throw Error(ErrorCode::unsupported, cat("libcrypto has no ", name));
  function = reinterpret_cast<Function>(symbol);
}

#define CBUILD_CRYPTO_BIND(member, name) bind_crypto(handle, #name, member)
#endif

}  // namespace

const CryptoLibrary& CryptoLibrary::get() {
  static const CryptoLibrary library;
  return library;
}

CryptoLibrary::CryptoLibrary() {
#ifndef CBUILD_STATIC
  void* const handle = open_crypto();
#endif
  CBUILD_CRYPTO_BIND(new_buffer, BIO_new_mem_buf);
  CBUILD_CRYPTO_BIND(free_buffer, BIO_free);
  CBUILD_CRYPTO_BIND(read_private, PEM_read_bio_PrivateKey);
  CBUILD_CRYPTO_BIND(read_public, PEM_read_bio_PUBKEY);
  CBUILD_CRYPTO_BIND(free_key, EVP_PKEY_free);
  CBUILD_CRYPTO_BIND(key_kind, EVP_PKEY_get_base_id);
  CBUILD_CRYPTO_BIND(key_bits, EVP_PKEY_get_bits);
  CBUILD_CRYPTO_BIND(group_name, EVP_PKEY_get_group_name);
  CBUILD_CRYPTO_BIND(new_context, EVP_MD_CTX_new);
  CBUILD_CRYPTO_BIND(free_context, EVP_MD_CTX_free);
  CBUILD_CRYPTO_BIND(sha256, EVP_sha256);
  CBUILD_CRYPTO_BIND(begin_sign, EVP_DigestSignInit);
  CBUILD_CRYPTO_BIND(sign, EVP_DigestSign);
  CBUILD_CRYPTO_BIND(begin_verify, EVP_DigestVerifyInit);
  CBUILD_CRYPTO_BIND(verify, EVP_DigestVerify);
  CBUILD_CRYPTO_BIND(scrypt, EVP_PBE_scrypt);
  CBUILD_CRYPTO_BIND(clear_errors, ERR_clear_error);
}
#undef CBUILD_CRYPTO_BIND

}  // namespace cbuild::supply
