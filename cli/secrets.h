// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "cache/store.h"
#include "cli/options.h"

namespace cbuild::cli {

/// The value of a secret, read now. Throws Error.
std::string read_secret(const SecretOption& option);

/// For the secrets that are to count in cache keys (cache=hash): by id, the HMAC of id and value under the store's own
/// key, so that nobody can try out values without the store. A secret that cannot be read has none: the step that needs
/// it says so.
std::map<std::string, std::string> secret_hashes(const BuildOptions& options, cache::Store& store);

}  // namespace cbuild::cli
