// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cbuild::supply {

/// Whether a text is a private key as cosign keeps them: PEM of "ENCRYPTED SIGSTORE PRIVATE KEY" (before cosign 2:
/// "ENCRYPTED COSIGN PRIVATE KEY"), in which JSON names scrypt and NaCl's secret box.
bool is_cosign_key(const std::string& pem);

/// The same key as PKCS #8 in PEM, not encrypted. `name` is for messages. Throws Error{usage} for a key that is
/// damaged, asks for more than 256 MiB, or has another password.
std::string decrypt_cosign_key(const std::string& pem, const std::string& password, const std::string& name);

}  // namespace cbuild::supply
