// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "engine/request/signature_policy.h"
#include "supply/sign/key.h"

namespace cbuild::cli {

/// The text of a key: of a file, or of a variable ("env://NAME"). `flag` is for messages. Throws Error{usage}.
std::string read_key(const std::string& flag, const std::string& place);

/// --sign "key=FILE|env://NAME". Throws Error{usage}.
std::shared_ptr<const supply::SigningKey> parse_sign(const std::string& text);

/// --signature-policy FILE: relative paths of keys are below the file's directory. Throws Error{usage}.
std::shared_ptr<const engine::SignaturePolicy> read_signature_policy(const std::string& path);

}  // namespace cbuild::cli
