// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "oci/registry/credentials.h"

/// docker's programs that keep accounts (docker-credential-NAME): a command, the server or JSON on stdin, JSON on
/// stdout. Each waits for at most a minute, as a helper may ask a person. All throw Error{not_found} for a missing
/// program, {denied} for one that fails, {input} for a name that is not one of a program.
namespace cbuild::oci::registry {

/// The account that the helper has for a server (server_address()); nullopt if it has none.
std::optional<Account> helper_get(const std::string& name, const std::string& server);
void helper_store(const std::string& name, const std::string& server, const Credentials& credentials);
/// False if it had none.
bool helper_erase(const std::string& name, const std::string& server);

}  // namespace cbuild::oci::registry
