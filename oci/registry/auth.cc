// SPDX-License-Identifier: Apache-2.0
// Answers 401: Basic, or Bearer with a token from the server that the registry names. A challenge is remembered for its
// origin, so later requests carry their token at once; tokens are kept by realm, service, account and scope, and
// threads that need the same one wait for a single request. A token server may get the password, so it must use TLS and
// lie outside this machine's networks, unless the registry itself does not; every redirect is checked in the same way.
#include "oci/registry/auth.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/json.h"
#include "oci/registry/failure.h"

namespace cbuild::oci::registry {

namespace {

constexpr unsigned kMostRefusals = 3, kMostTokenRedirects = 5;
constexpr std::int64_t kShortestLife = 60,
                       kLongestLife = 86'400;  // seconds; the protocol's default is the shortest
constexpr char kClientId[] = "cbuild";

std::string param(const Challenge& challenge, const std::string& name) {
  const auto it = challenge.params.find(name);
  return it == challenge.params.end() ? std::string() : it->second;
}

/// Bearer before Basic; nothing else is spoken.
std::optional<Challenge> choose(const http::Response& response) {
  std::vector<Challenge> all;
  for (const std::string_view header : response.all("www-authenticate")) {
    for (Challenge& challenge : parse_challenges(header)) all.push_back(std::move(challenge));
  }
  for (const std::string_view scheme : {"bearer", "basic"}) {
    const auto it = std::find_if(all.begin(), all.end(), [&](const Challenge& c) {
      return c.scheme == scheme && (scheme != "bearer" || c.params.contains("realm"));
    });
    if (it != all.end()) return *it;
  }
  return std::nullopt;
}

std::string basic_header(const Credentials& credentials) {
  return "Basic " + base64_encode(credentials.user + ":" + credentials.password);
}

bool has_password(const std::optional<Account>& account) {
  if (!account || account->credentials.user.empty()) return false;
  return account->credentials.identity_token.empty() || !account->credentials.password.empty();
}

std::string scopes_text(const ScopeSet& scopes) { return join(scopes.texts(), " "); }

}  // namespace

void check_realm(const Endpoint& endpoint, const http::Url& realm) {
  const auto refuse = [&](std::string_view why) {
    throw Error(ErrorCode::denied, cat(endpoint.registry, " names the token server ", realm.redacted(), ", ", why));
  };
  if (realm.scheme == "http" && endpoint.base.scheme != "http") refuse("which is not https");
  const http::Locality where = http::locality(realm.host);
  if (where == http::Locality::open || realm.host == endpoint.base.host || where == http::locality(endpoint.base.host))
    return;
  refuse("an address inside this machine or network");
}

Authenticator::Authenticator(http::Pool& pool, Hosts& hosts, CredentialStore& store, http::Secrets& secrets,
                             http::RetryPolicy& retry, const Options& options)
    : pool_(pool),
      hosts_(hosts),
      store_(store),
      secrets_(secrets),
      retry_(retry),
      limits_(options.limits),
      wants_identity_(options.wants_identity),
      clock_ns_(options.clock_ns ? options.clock_ns : sys::monotonic_ns) {}

std::string Authenticator::first(Attempt& attempt) {
  Challenge challenge;
  {
    const std::lock_guard lock(mutex_);
    const auto it = challenges_.find(attempt.endpoint.base.origin());
    if (it == challenges_.end()) return {};
    challenge = it->second;
  }
  return attempt.sent = header_for(challenge, attempt);
}

std::optional<std::string> Authenticator::answer(const http::Response& unauthorized, Attempt& attempt) {
  const std::optional<Challenge> challenge = choose(unauthorized);
  if (!challenge || ++attempt.refusals > kMostRefusals) return std::nullopt;
  const ScopeSet asked(param(*challenge, "scope"));
  const bool first_contact = attempt.sent.empty();
  if (!first_contact && param(*challenge, "error") == "insufficient_scope" && attempt.scopes.covers(asked)) {
    return std::nullopt;  // a new token of the same scope says the same
  }
  attempt.scopes.add(asked);
  {
    Challenge lasting = *challenge;  // realm and service go for the whole registry, the rest for this request
    lasting.params.erase("scope");
    lasting.params.erase("error");
    const std::lock_guard lock(mutex_);
    challenges_[attempt.endpoint.base.origin()] = std::move(lasting);
  }
  std::string header = header_for(*challenge, attempt);
  if (header.empty() || header == attempt.sent) return std::nullopt;
  return attempt.sent = std::move(header);
}

bool Authenticator::was_challenged(const Endpoint& endpoint) {
  const std::lock_guard lock(mutex_);
  return challenges_.contains(endpoint.base.origin());
}

std::string Authenticator::account_note(const std::string& registry, const std::string& repository) {
  const std::optional<Account> account = store_.find(registry, repository);
  return account ? "with the account from " + account->source : "no account found in " + store_.searched();
}

std::optional<Account> Authenticator::account_for(const Attempt& attempt) {
  if (attempt.anonymous) return std::nullopt;
  std::optional<Account> account = store_.find(attempt.endpoint.registry, attempt.repository);
  if (account) {
    secrets_.add(account->credentials.password);
    secrets_.add(account->credentials.identity_token);
    secrets_.add(account->registry_token);
    secrets_.add(account->credentials.user + ":" + account->credentials.password);
  }
  return account;
}

std::string Authenticator::header_for(const Challenge& challenge, Attempt& attempt) {
  const std::optional<Account> account = account_for(attempt);
  if (account && !account->registry_token.empty()) return "Bearer " + account->registry_token;
  if (challenge.scheme == "bearer") return "Bearer " + bearer(challenge, attempt, account);
  return has_password(account) ? basic_header(account->credentials) : std::string();
}

/// The place of a token for `scopes`: its own, or one that was granted for more, so that a push needs one
/// token.
std::shared_ptr<Authenticator::Slot> Authenticator::slot_for(const std::string& key, const ScopeSet& scopes) {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Slot>>& slots = slots_[key];
  for (const auto& slot : slots) {
    if (slot->scopes == scopes) return slot;
  }
  for (const auto& slot : slots) {
    if (slot->granted && slot->scopes.covers(scopes)) return slot;
  }
  return slots.emplace_back(std::make_shared<Slot>(scopes));
}

std::string Authenticator::bearer(const Challenge& challenge, Attempt& attempt, const std::optional<Account>& account) {
  const std::string key =
      cat(attempt.endpoint.base.origin(), '\n', param(challenge, "realm"), '\n', param(challenge, "service"), '\n',
          account ? account->source + '\n' + account->credentials.user : "");
  const std::shared_ptr<Slot> slot = slot_for(key, attempt.scopes);
  const std::lock_guard lock(slot->mutex);
  const bool refused = attempt.sent == "Bearer " + slot->token;
  if (!slot->token.empty() && !refused && clock_ns_() < slot->expires_ns) return slot->token;
  const Grant grant = fetch(challenge, attempt, slot->scopes, account);
  secrets_.add(grant.token);
  slot->token = grant.token;
  slot->expires_ns = clock_ns_() + grant.lifetime_s * 900'000'000;  // renewed at 90 %
  slot->granted = true;
  return slot->token;
}

Authenticator::Grant Authenticator::fetch(const Challenge& challenge, const Attempt& attempt, const ScopeSet& scopes,
                                          const std::optional<Account>& account) {
  const std::string text = param(challenge, "realm");
  const std::optional<http::Url> realm = http::parse_url(text);
  const Endpoint& endpoint = attempt.endpoint;
  const std::string& registry = endpoint.registry;
  if (!realm) throw Error(ErrorCode::denied, cat(registry, " names no usable token server: ", go_quote(text)));
  const bool refresh = account && !account->credentials.identity_token.empty();
  http::Response response =
      refresh ? post(challenge, endpoint, scopes, *realm, *account) : get(challenge, endpoint, scopes, *realm, account);
  const int status = response.status;
  const bool may_post = status == 400 || status == 401 || status == 404 || status == 405;
  if (!refresh && !response.failure && may_post && has_password(account)) {
    http::Response second = post(challenge, endpoint, scopes, *realm, *account);
    if (second.ok()) response = std::move(second);
  }
  if (!response.ok()) {
    const std::string note = account ? " with the account from " + account->source : "";
    throw_failure(response,
                  cat("token for ", registry, attempt.repository.empty() ? "" : "/", attempt.repository, " from ",
                      realm->redacted(), note),
                  secrets_);
  }
  const nlohmann::json body = json::parse_object(response.body, 1u << 20, "token answer of " + realm->redacted());
  Grant grant;
  grant.token = json::text(body, "token");
  if (grant.token.empty()) grant.token = json::text(body, "access_token");
  if (grant.token.empty()) throw Error(ErrorCode::denied, realm->redacted() + " sent no token");
  note_identity(json::text(body, "refresh_token"));
  const nlohmann::json* lifetime = json::find(body, "expires_in");
  const bool stated = lifetime != nullptr && lifetime->is_number_integer();
  grant.lifetime_s = std::clamp(stated ? lifetime->get<std::int64_t>() : kShortestLife, kShortestLife, kLongestLife);
  return grant;
}

void Authenticator::note_identity(const std::string& token) {
  if (!wants_identity_ || token.empty()) return;
  secrets_.add(token);
  const std::lock_guard lock(mutex_);
  identity_ = token;
}

std::string Authenticator::identity_token() {
  const std::lock_guard lock(mutex_);
  return identity_;
}

http::Response Authenticator::get(const Challenge& challenge, const Endpoint& endpoint, const ScopeSet& scopes,
                                  const http::Url& realm, const std::optional<Account>& account) {
  http::Request request;
  request.url = realm;
  if (const std::string service = param(challenge, "service"); !service.empty()) {
    add_query(request.url, "service", service);
  }
  for (const std::string& scope : scopes.texts()) add_query(request.url, "scope", scope);
  if (has_password(account)) {
    add_query(request.url, "account", account->credentials.user);
    request.headers.emplace_back("Authorization", basic_header(account->credentials));
    if (wants_identity_) {
      add_query(request.url, "offline_token", "true");
      add_query(request.url, "client_id", kClientId);
    }
  }
  return ask(std::move(request), endpoint);
}

http::Response Authenticator::post(const Challenge& challenge, const Endpoint& endpoint, const ScopeSet& scopes,
                                   const http::Url& realm, const Account& account) {
  const Credentials& credentials = account.credentials;
  const bool refresh = !credentials.identity_token.empty();
  http::Request request;
  request.method = "POST";
  request.url = realm;
  request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  const auto add = [&](const char* key, const std::string& value) {
    if (!request.body.empty()) request.body += '&';
    request.body += cat(key, '=', http::url_encode(value));
  };
  add("grant_type", refresh ? "refresh_token" : "password");
  add("service", param(challenge, "service"));
  add("client_id", kClientId);
  if (!scopes.empty()) add("scope", scopes_text(scopes));
  if (refresh) {
    add("refresh_token", credentials.identity_token);
  } else {
    add("username", credentials.user);
    add("password", credentials.password);
    if (wants_identity_) add("access_type", "offline");
  }
  return ask(std::move(request), endpoint);
}

/// Every hop is checked like the realm itself, and an account never leaves the origin it was meant for.
http::Response Authenticator::ask(http::Request request, const Endpoint& endpoint) {
  request.headers.emplace_back("Accept", "application/json");
  request.limits = limits_;
  unsigned redirects = 0;
  for (unsigned attempt = 1;; ++attempt) {
    check_realm(endpoint, request.url);
    request.tls = hosts_.tls(request.url);
    const std::string origin = request.url.origin();
    retry_.wait_turn(origin);
    http::Response response = pool_.perform(request);
    const bool redirect = !response.failure && response.status >= 301 && response.status <= 308;
    const std::string_view location = redirect ? response.header("location") : "";
    const auto next = location.empty() ? std::nullopt : resolve_url(request.url, location);
    if (next && request.method == "GET" && ++redirects <= kMostTokenRedirects) {
      if (next->origin() != origin) {
        std::erase_if(request.headers, [](const auto& header) { return header.first == "Authorization"; });
      }
      request.url = *next;
      --attempt;
      continue;
    }
    const std::string why = cat("token server ", request.url.host, ": ", explain(response, secrets_));
    if (response.ok() || !may_repeat(endpoint.has_alternative, response, attempt) ||
        !retry_.again(response, origin, attempt, why))
      return response;
  }
}

}  // namespace cbuild::oci::registry
