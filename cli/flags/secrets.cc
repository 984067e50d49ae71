// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/secrets.h"

#include <fcntl.h>

#include <cstdlib>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/text.h"

namespace cbuild::cli {

std::string read_secret(const SecretOption& option) {
  constexpr std::size_t kMaxSecret = 512u << 10;
  if (option.env.empty()) {
    if (auto value = sys::try_read_plain(AT_FDCWD, option.file, kMaxSecret, sys::Pipes::taken))
      return std::move(*value);
    throw Error(ErrorCode::not_found, cat("secret ", option.id, ": ", option.file, " does not exist"));
  }
  const char* value = std::getenv(option.env.c_str());
  if (value == nullptr) throw Error(ErrorCode::not_found, cat("secret ", option.id, ": ", option.env, " is not set"));
  return value;
}

engine::Secret to_secret(const SecretOption& option) {
  return {option.id, [option] { return read_secret(option); }, option.hashed};
}

}  // namespace cbuild::cli
