// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cache/store.h"
#include "cli/options.h"
#include "solver/ops/executor.h"

namespace cbuild::cli {

/// What the steps and the network sources may ask for; each is read when it is.
std::vector<solver::ops::Secret> make_secrets(const BuildOptions& options);

/// The value of a secret, read now. Throws Error.
std::string read_secret(const SecretOption& option);

/// For the secrets that are to count in cache keys (cache=hash): by id, the HMAC of id and value under the store's own
/// key, so that nobody can try out values without the store. A secret that cannot be read has none: the step that needs
/// it says so.
std::map<std::string, std::string> secret_hashes(const BuildOptions& options, cache::Store& store);

}  // namespace cbuild::cli
