// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/request/request.h"

namespace cbuild::cli {

/// `--secret id=x,src=file` or `env=NAME`. `hashed`: cache=hash.
struct SecretOption {
  std::string id, file, env;
  bool hashed = false;
};

/// The value of a secret, read now. Throws Error.
std::string read_secret(const SecretOption& option);

/// The secret as a build takes it: it is read when the build asks for it.
engine::Secret to_secret(const SecretOption& option);

}  // namespace cbuild::cli
