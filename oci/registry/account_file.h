// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "oci/registry/client.h"

/// Logins, written as docker and podman write them: into "auths" of a JSON file, or by the credential helper that the
/// file names for the registry (credHelpers) or for all (credsStore). Whatever else the file holds stays. The file
/// appears whole, with mode 0600; writers of one directory take turns. `key` is as account_key() gives it. Throw
/// Error{input} for a file that is not such JSON, {denied} for a helper that fails.
namespace cbuild::oci::registry {

/// The place of an account: the file, or a helper's name.
struct AccountPlace {
  std::string name;
  bool plain = false;  ///< for everybody who can read the file
};

/// In place of an account of the same key.
AccountPlace store_account(const std::string& file, const std::string& key, const Credentials& credentials);
/// False if there was none.
bool erase_account(const std::string& file, const std::string& key);

/// Sets a text of another part of docker's config.json, for example "builder" of "aliases", or removes it.
void store_setting(const std::string& file, const std::string& part, const std::string& name,
                   const std::optional<std::string>& value);

}  // namespace cbuild::oci::registry
