// SPDX-License-Identifier: Apache-2.0
#include "cli/secrets.h"

#include <fcntl.h>

#include <cstdlib>

#include "base/error.h"
#include "base/hmac.h"
#include "base/plain_file.h"
#include "base/text.h"
#include "cache/store_secret.h"

namespace cbuild::cli {

std::vector<solver::ops::Secret> make_secrets(const BuildOptions& options) {
  std::vector<solver::ops::Secret> secrets;
  for (const SecretOption& option : options.secrets)
    secrets.push_back({option.id, [option] { return read_secret(option); }});
  return secrets;
}

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

std::map<std::string, std::string> secret_hashes(const BuildOptions& options, cache::Store& store) {
  std::map<std::string, std::string> out;
  for (const SecretOption& option : options.secrets) {
    if (!option.hashed) continue;
    try {
      const std::string message = CanonicalWriter().text(option.id).text(read_secret(option)).bytes();
      out[option.id] = hmac_sha256(cache::secret_key(store), message).hex();
    } catch (const Error&) {
      continue;
    }
  }
  return out;
}

}  // namespace cbuild::cli
