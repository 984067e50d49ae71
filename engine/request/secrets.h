// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cache/store.h"
#include "engine/request/request.h"
#include "solver/ops/local_exec.h"
#include "solver/ops/secret_values.h"

namespace cbuild::engine {

/// The secrets that steps and network sources may ask for; each is read when it is asked for.
std::vector<solver::ops::Secret> make_secrets(const std::vector<Secret>& secrets);

/// The same secrets; a value that is read becomes one of `values`, which must outlive them.
std::vector<Secret> noting_secrets(std::vector<Secret> secrets, solver::ops::SecretValues& values);

/// Finds a secret by its id; nullopt: there is none. Throws Error.
using SecretFinder = std::function<std::optional<std::string>(const std::string& id)>;

/// The same finder; a value that is found becomes one of `values`, which must outlive it. Stays empty.
SecretFinder noting_finder(SecretFinder finder, solver::ops::SecretValues& values);

/// For the secrets that are to count in cache keys (cache=hash): by id, the HMAC of id and value under the store's own
/// key, so that nobody can try out values without the store. A secret that cannot be read has none: the step that needs
/// it says so.
std::map<std::string, std::string> secret_hashes(const std::vector<Secret>& secrets, cache::Store& store);

}  // namespace cbuild::engine
