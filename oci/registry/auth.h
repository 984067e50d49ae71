// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/http/http.h"
#include "base/http/retry.h"
#include "base/http/secrets.h"
#include "oci/registry/challenge.h"
#include "oci/registry/client.h"
#include "oci/registry/credentials.h"
#include "oci/registry/hosts.h"

namespace cbuild::oci::registry {

/// Makes Authorization headers: Basic, or Bearer tokens of the docker token protocol, cached by registry,
/// account and scope, fetched once however many threads wait. Thread-safe.
class Authenticator {
 public:
  Authenticator(http::Pool& pool, Hosts& hosts, CredentialStore& store, http::Secrets& secrets,
                http::RetryPolicy& retry, const Options& options);

  /// One logical request and the answers to it so far.
  struct Attempt {
    const Endpoint& endpoint;
    std::string repository;
    ScopeSet scopes;
    bool anonymous = false;  ///< never use an account (foreign hosts)
    std::string sent;        ///< the last Authorization header, "" for none
    unsigned refusals = 0;
  };

  /// The header to begin with; "" when the registry has not asked for any yet.
  std::string first(Attempt& attempt);
  /// The header to try after a 401; nullopt when there is nothing better. Throws Error{denied} when the token
  /// server refuses and for a realm that may not be asked.
  std::optional<std::string> answer(const http::Response& unauthorized, Attempt& attempt);

  /// Whether this endpoint has asked for an account or a token.
  bool was_challenged(const Endpoint& endpoint);

  /// The last one that a token server gave, if Options::wants_identity asked for it; or empty.
  std::string identity_token();

  /// Whose account is used for a repository, for messages: "the account from FILE" or "no account found in
  /// FILES".
  std::string account_note(const std::string& registry, const std::string& repository);

 private:
  struct Slot {
    explicit Slot(ScopeSet s) : scopes(std::move(s)) {}
    const ScopeSet scopes;
    std::atomic<bool> granted = false;
    std::mutex mutex;  // guards the rest; held while the token is fetched
    std::string token;
    std::int64_t expires_ns = 0;  // by clock_ns_
  };
  struct Grant {
    std::string token;
    std::int64_t lifetime_s = 0;
  };
  std::string header_for(const Challenge& challenge, Attempt& attempt);
  std::string bearer(const Challenge& challenge, Attempt& attempt, const std::optional<Account>& account);
  std::shared_ptr<Slot> slot_for(const std::string& key, const ScopeSet& scopes);
  Grant fetch(const Challenge& challenge, const Attempt& attempt, const ScopeSet& scopes,
              const std::optional<Account>& account);
  void note_identity(const std::string& token);
  http::Response get(const Challenge& challenge, const Endpoint& endpoint, const ScopeSet& scopes,
                     const http::Url& realm, const std::optional<Account>& account);
  http::Response post(const Challenge& challenge, const Endpoint& endpoint, const ScopeSet& scopes,
                      const http::Url& realm, const Account& account);
  http::Response ask(http::Request request, const Endpoint& endpoint);
  std::optional<Account> account_for(const Attempt& attempt);

  http::Pool& pool_;
  Hosts& hosts_;
  CredentialStore& store_;
  http::Secrets& secrets_;
  http::RetryPolicy& retry_;
  const http::TransferLimits limits_;
  const bool wants_identity_;
  const std::function<std::int64_t()> clock_ns_;
  std::mutex mutex_;  // guards the rest
  std::string identity_;
  std::map<std::string, Challenge> challenges_;                      ///< by origin
  std::map<std::string, std::vector<std::shared_ptr<Slot>>> slots_;  ///< by registry, token server and account
};

/// Throws Error{denied} when a registry's token server may not be asked: plain http for a registry on https,
/// or an address inside this machine or network that the registry itself is not at.
void check_realm(const Endpoint& endpoint, const http::Url& realm);

}  // namespace cbuild::oci::registry
