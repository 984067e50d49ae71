// SPDX-License-Identifier: Apache-2.0
// One request to a registry with all that surrounds it: the account, redirects, retries, the text of a failure. The
// account stays on the registry's own origin; storage elsewhere gets at most an anonymous token. Redirects may not lead
// from TLS to plain http, nor from outside to an address of this machine.
#include "oci/registry/transport.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "oci/registry/failure.h"

namespace cbuild::oci::registry {

namespace {

constexpr unsigned kMostSessionRedirects = 10;
constexpr std::string_view kAuthorization = "Authorization";
constexpr std::chrono::milliseconds kMirrorConnect{10'000};

bool is_redirect(const http::Response& response, const std::string& method) {
  if (response.failure) return false;
  const int status = response.status;
  if (status == 307 || status == 308) return true;
  // The others turn an upload into a GET, which no registry means.
  return (method == "GET" || method == "HEAD") && (status == 301 || status == 302 || status == 303);
}

/// The text of `299 - "text" ["date"]` (RFC 7234, 5.5), which is how the distribution-spec warns.
std::string warning_text(std::string_view header) {
  const std::size_t open = header.find('"');
  if (!header.starts_with("299 ") || open == std::string_view::npos) return {};
  std::string out;
  for (std::size_t i = open + 1; i < header.size() && header[i] != '"'; ++i) {
    if (header[i] == '\\' && i + 1 < header.size()) ++i;
    out += header[i];
  }
  return out;
}

/// Portals and proxies answer with pages of their own, and with 200, which must not pass for "it is there" or "it is
/// stored". What a GET brings is compared with its digest anyway.
void fail_page(const http::Request& request, http::Response& response) {
  if (!response.ok() || request.method == "GET" || !response.header("content-type").starts_with("text/html")) return;
  response.failure = {http::TransportFailure::Kind::damaged, "the answer is an HTML page"};
}

CredentialStore::Places places_of(const Options& options, routes::Routes& routes) {
  CredentialStore::Places only;
  only.ask = options.find_account;
  if (only.ask) return only;
  if (!options.account) {
    CredentialStore::Places all = CredentialStore::places(options.auth_file);
    all.helpers = [&routes] { return routes.credential_helpers(); };
    return all;
  }
  only.given = Account{*options.account, {}, "the command line"};
  return only;
}

}  // namespace

Transport::Transport(Options options)
    : options_(std::move(options)),
      pool_({std::max(1u, options_.max_connections_per_host), options_.cancel}),
      retry_({std::max(1u, options_.max_attempts), options_.retry_delay, options_.cancel, options_.warn,
              is_used_up_quota}),
      routes_(options_.files),
      sources_(routes_, options_),
      hosts_(options_, routes_, pool_, secrets_, retry_),
      store_(places_of(options_, routes_), options_.warn),
      auth_(pool_, hosts_, store_, secrets_, retry_, options_) {}

Call Transport::call_at(const routes::Route& route, bool has_alternative, const std::string& rest, std::string doing) {
  Call out;
  out.endpoint = hosts_.endpoint(route, has_alternative, doing);
  out.repository = route.reference.repository;
  out.doing = std::move(doing);
  out.request.url = out.endpoint.base;
  out.request.url.path = cat(out.endpoint.root, '/', out.repository, '/', rest);
  if (!out.endpoint.upstream.empty()) add_query(out.request.url, "ns", out.endpoint.upstream);
  out.request.limits = options_.limits;
  if (has_alternative) out.request.limits.connect = std::min(out.request.limits.connect, kMirrorConnect);
  if (out.endpoint.dial.count() > 0) out.request.limits.connect = out.endpoint.dial;
  return out;
}

Call Transport::call(const Reference& reference, const std::string& rest, ScopeSet scopes, std::string doing) {
  Call out;
  try {
    out = call_at(routes_.writing(reference), false, rest, doing);
  } catch (Error& error) {
    if (error.code() == ErrorCode::denied) error.add_context(doing);
    throw;
  }
  out.scopes = std::move(scopes);
  return out;
}

Call Transport::read(const Source& source, const std::string& rest) {
  Call out = call_at(source.route, source.has_alternative, rest, source.doing);
  out.scopes = ScopeSet::pull(source.route.reference.repository);
  return out;
}

Transport::Answer Transport::once(const Call& call) {
  http::Request request = call.request;
  for (unsigned hops = 0;; ++hops) {
    const bool home = request.url.origin() == call.endpoint.base.origin();
    http::Response response = home ? authorized(call, request) : foreign(call, request);
    report_warnings(response);
    const std::string_view location = response.header("location");
    if (!is_redirect(response, request.method) || location.empty()) {
      fail_page(request, response);
      return {std::move(response), request.url, !home};
    }
    if (hops == kMostSessionRedirects) throw Error(ErrorCode::network, call.doing + ": too many redirects");
    request.url = follow(call, request.url, location);
  }
}

Transport::Answer Transport::send(const Call& call, unsigned attempt) {
  for (;; ++attempt) {
    Answer answer = once(call);
    if (answer.response.ok() || !again(call, answer, attempt)) return answer;
  }
}

bool Transport::again(const Call& call, const Answer& answer, unsigned attempt) {
  if (!may_repeat(call.endpoint.has_alternative, answer.response, attempt)) return false;
  const std::string why = cat(call.doing, ": ", explain(answer.response));
  return retry_.again(answer.response, answer.url.origin(), attempt, why);
}

void Transport::fail(const Call& call, const Answer& answer) {
  const int status = answer.response.status;
  const std::string_view at = answer.foreign ? " (at " : "";
  std::string doing = cat(call.doing, at, answer.foreign ? answer.url.host + ")" : "");
  const bool refused = !answer.response.failure && !answer.foreign && (status == 401 || status == 403);
  if (!refused) throw_failure(answer.response, doing, secrets_);
  doing += ", " + auth_.account_note(call.endpoint.registry, call.repository);
  try {
    throw_failure(answer.response, doing, secrets_);
  } catch (Error& e) {
    throw options_.account ? e : e.with_hint("cbuild login " + call.endpoint.registry);
  }
}

http::Response Transport::perform(http::Request& request, const std::string& authorization,
                                  const http::HeaderList& more) {
  const std::size_t own = request.headers.size();
  const ScopeExit drop([&] { request.headers.resize(own); });
  for (const auto& [name, value] : more) {
    const bool is_account = iequals(name, kAuthorization);
    if (is_account) secrets_.add(value);
    if (!is_account || authorization.empty()) request.headers.emplace_back(name, value);
  }
  if (!authorization.empty()) request.headers.emplace_back(kAuthorization, authorization);
  request.tls = hosts_.tls(request.url);
  retry_.wait_turn(request.url.origin());
  return pool_.perform(request);
}

http::Response Transport::authorized(const Call& call, http::Request& request) {
  Authenticator::Attempt attempt{call.endpoint, call.repository, call.scopes, false, {}, 0};
  std::string header = auth_.first(attempt);
  while (true) {
    http::Response response = perform(request, header, call.endpoint.headers);
    if (response.failure || response.status != 401) return response;
    const std::optional<std::string> better = auth_.answer(response, attempt);
    if (!better) return response;
    header = *better;
  }
}

/// Storage behind a registry and registries that stand in for one: no account, at most an anonymous token.
http::Response Transport::foreign(const Call& call, http::Request& request) {
  http::Response response = perform(request, {});
  if (response.failure || response.status != 401) return response;
  Endpoint there{request.url.authority(), request.url, hosts_.is_insecure(request.url)};
  Authenticator::Attempt attempt{there, call.repository, {}, true, {}, 0};
  const std::optional<std::string> token = auth_.answer(response, attempt);
  return token ? perform(request, *token) : response;
}

http::Url Transport::follow(const Call& call, const http::Url& from, std::string_view location) const {
  const std::optional<http::Url> next = resolve_url(from, location);
  const auto refuse = [&](std::string_view why) {
    throw Error(ErrorCode::network, cat(call.doing, ": ", from.host, " leads to ", why));
  };
  if (!next) refuse("a URL that is not http or https");
  if (next->scheme == "http" && from.scheme == "https" && !call.endpoint.insecure) {
    refuse("plain http at " + next->host);
  }
  const http::Locality where = http::locality(next->host);
  const bool inside = where == http::Locality::loopback || where == http::Locality::link_local;
  if (inside && where != http::locality(call.endpoint.base.host))
    refuse("an address inside this machine: " + next->host);
  return *next;
}

std::string Transport::explain(const http::Response& response) const { return registry::explain(response, secrets_); }

void Transport::report_warnings(const http::Response& response) {
  if (!options_.warn) return;
  for (const std::string_view header : response.all("warning")) {
    const std::string text = warning_text(header);
    if (text.empty()) continue;
    {
      const std::lock_guard lock(mutex_);
      if (warned_.size() > 100 || !warned_.insert(text).second) continue;
    }
    options_.warn(secrets_.redact(text));
  }
}

}  // namespace cbuild::oci::registry
