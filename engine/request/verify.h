// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/http/limits.h"
#include "oci/reference.h"
#include "oci/registry/client.h"
#include "supply/sign/key.h"
#include "supply/sign/signature.h"

namespace cbuild::engine {

/// Those signatures of the document `digest` in the repository of `reference` that `key` verifies: under its tag and
/// among its referrers. Throws Error if the registry cannot be asked.
std::vector<supply::SignedImage> verified_signatures(oci::registry::Client& client, const oci::Reference& reference,
                                                     const Digest& digest, const supply::PublicKey& key);

/// The repository that a signature names, as references spell it; empty if it names none.
std::string signed_repository(const supply::SignedImage& image);

/// An image by name, and the keys of which one has to have signed it.
struct VerifyRequest {
  std::string reference;
  std::vector<supply::PublicKey> keys;
  std::vector<std::string> insecure_registries;
  http::TransferLimits transfer_limits;
  std::optional<std::string> auth_file;
  oci::routes::ConfigFiles registry_files;
};

struct VerifyResult {
  Digest digest;                          ///< that the name gives
  std::optional<std::size_t> key;         ///< the first key that signed it; unset: none did
  std::vector<std::string> repositories;  ///< that its signatures name
};

/// Asks the registry. Throws Error.
VerifyResult verify_image(const VerifyRequest& request, const CancelSource& cancel);

}  // namespace cbuild::engine
