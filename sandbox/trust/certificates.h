// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cbuild::sandbox::trust {

/// The certificates of a PEM text (RFC 7468), in DER, each once, in their order; what stands around them is skipped.
/// Throws Error{usage} for one that is cut off, is not base64, or is not a certificate.
std::vector<std::string> read_pem(std::string_view text);

/// A key store that trusts these certificates, as Java reads it with kKeyStorePassword ("JKS", version 2).
std::string java_key_store(const std::vector<std::string>& certificates);

/// Of a key store that has nothing secret, and Java's own default.
inline constexpr const char* kKeyStorePassword = "changeit";

}  // namespace cbuild::sandbox::trust
