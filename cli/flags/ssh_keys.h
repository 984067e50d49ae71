// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cbuild::cli {

/// Checks that `path` holds a private key that can be used without a passphrase. Throws Error{usage}; `flag` names the
/// flag.
void check_ssh_key(const std::string& flag, const std::string& path);

}  // namespace cbuild::cli
