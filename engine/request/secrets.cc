// SPDX-License-Identifier: Apache-2.0
#include "engine/request/secrets.h"

#include <utility>

#include "base/error.h"
#include "base/hmac.h"
#include "cache/store_secret.h"

namespace cbuild::engine {

std::vector<solver::ops::Secret> make_secrets(const std::vector<Secret>& secrets) {
  std::vector<solver::ops::Secret> out;
  for (const Secret& secret : secrets) out.push_back({secret.id, secret.read});
  return out;
}

std::vector<Secret> noting_secrets(std::vector<Secret> secrets, solver::ops::SecretValues& values) {
  for (Secret& secret : secrets) {
    secret.read = [read = std::move(secret.read), &values] {
      std::string value = read();
      values.add(value);
      return value;
    };
  }
  return secrets;
}

SecretFinder noting_finder(SecretFinder finder, solver::ops::SecretValues& values) {
  if (!finder) return {};
  return [find = std::move(finder), &values](const std::string& id) {
    std::optional<std::string> value = find(id);
    if (value) values.add(*value);
    return value;
  };
}

std::map<std::string, std::string> secret_hashes(const std::vector<Secret>& secrets, cache::Store& store) {
  std::map<std::string, std::string> out;
  for (const Secret& secret : secrets) {
    if (!secret.hashed) continue;
    try {
      const std::string message = CanonicalWriter().text(secret.id).text(secret.read()).bytes();
      out[secret.id] = hmac_sha256(cache::secret_key(store), message).hex();
    } catch (const Error&) {
      continue;
    }
  }
  return out;
}

}  // namespace cbuild::engine
