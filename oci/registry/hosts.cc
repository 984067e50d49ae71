// SPDX-License-Identifier: Apache-2.0
// How to reach a registry: https, or plain http where that is allowed (loopback and --insecure-registry), found out by
// asking both once; and the certificates for it from the certs.d directories of docker and podman. A connection that
// breaks tells neither way, so it is tried again before anything is decided.
#include "oci/registry/hosts.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "oci/registry/failure.h"
#include "oci/routes/certificates.h"

namespace cbuild::oci::registry {

namespace {

/// Of a host that no certificate brings nearer.
bool is_unreachable(http::TransportFailure::Kind kind) {
  return kind == http::TransportFailure::Kind::resolve || kind == http::TransportFailure::Kind::connect;
}

using FailureKind = http::TransportFailure::Kind;
constexpr std::chrono::milliseconds kProbeHandshake{10'000};

/// certs.d directories are named as users write the registry; docker.io's API has another host.
std::vector<std::string> directory_names(const http::Url& url) {
  std::vector<std::string> names = {url.authority()};
  if (url.port.empty()) names.push_back(url.host + (url.scheme == "https" ? ":443" : ":80"));
  if (url.host == "registry-1.docker.io") names.emplace_back("docker.io");
  return names;
}

void use_client(http::TlsConfig& tls, const routes::ClientPair& pair) {
  tls.certificate = pair.certificate;
  tls.key = pair.key;
}

/// Whether there is a TLS server, though perhaps one that we do not trust or that does not trust us.
bool speaks_tls(const http::Response& response) {
  if (!response.failure) return true;
  const FailureKind kind = response.failure->kind;
  return kind != FailureKind::tls && kind != FailureKind::connect && kind != FailureKind::broken &&
         kind != FailureKind::resolve && kind != FailureKind::no_authorities && kind != FailureKind::stalled;
}

/// Where another place can be asked, what looks permanent or asks for patience is left at once.
bool is_passing(const http::Response& response) {
  if (!response.failure) return response.status >= 500;
  const FailureKind kind = response.failure->kind;
  return kind == FailureKind::broken || kind == FailureKind::damaged;
}

/// Of two failures: whether the one over plain http shows the reason better.
bool is_more_telling(const http::Response& by_http, const http::Response& by_tls) {
  if (!by_http.failure || by_tls.failure->kind == FailureKind::no_authorities) return false;
  return by_tls.failure->kind == FailureKind::tls || by_http.failure->kind != FailureKind::connect;
}

}  // namespace

bool may_repeat(bool has_alternative, const http::Response& response, unsigned attempt) {
  return !has_alternative || (attempt == 1 && is_passing(response));
}

Hosts::Hosts(const Options& options, routes::Routes& routes, http::Pool& pool, const http::Secrets& secrets,
             http::RetryPolicy& retry)
    : options_(options), routes_(routes), pool_(pool), secrets_(secrets), retry_(retry) {}

bool Hosts::is_insecure(const http::Url& url) {
  const bool named = std::any_of(options_.insecure.begin(), options_.insecure.end(), [&](const std::string& entry) {
    const std::string name = to_lower(entry);
    return name == url.host || name == url.authority() ||
           (url.port.empty() && name == url.host + (url.scheme == "https" ? ":443" : ":80"));
  });
  return named || routes_.is_insecure(url);
}

http::Response Hosts::ping(const http::Url& base, bool has_alternative) {
  http::Request ping;
  ping.url = base;
  ping.url.path = "/v2/";
  ping.tls = tls(ping.url);
  ping.limits = options_.limits;
  // A server of plain http may wait for the end of a line while we wait for its part of the handshake.
  if (base.scheme == "https" || has_alternative) ping.limits.connect = std::min(ping.limits.connect, kProbeHandshake);
  retry_.wait_turn(base.origin());
  return pool_.perform(ping);
}

/// A connection that breaks says nothing, so both are asked again as anything else is.
http::Url Hosts::find_out(const http::Url& secure, const http::Url& plain, bool has_alternative,
                          std::string_view doing) {
  for (unsigned attempt = 1;; ++attempt) {
    const http::Response by_tls = ping(secure, has_alternative);
    if (speaks_tls(by_tls)) return secure;
    const http::Response by_http = ping(plain, has_alternative);
    const bool tls_is_refused = by_tls.failure->kind == FailureKind::tls;
    // TLS servers answer 400 to plain http.
    if (!by_http.failure && (by_http.status != 400 || tls_is_refused)) return plain;
    const http::Response& telling = is_more_telling(by_http, by_tls) ? by_http : by_tls;
    const std::string why = cat(doing, ": ", explain(telling, secrets_));
    if (!may_repeat(has_alternative, telling, attempt) || !retry_.again(telling, secure.origin(), attempt, why))
      throw_failure(telling, doing, secrets_);
  }
}

http::Url Hosts::base_of(const routes::Route& route, bool insecure, bool has_alternative, std::string_view doing) {
  const auto secure = http::parse_url("https://" + route.host), plain = http::parse_url("http://" + route.host);
  if (!secure || !plain) throw Error(ErrorCode::input, "invalid registry name " + go_quote(route.host));
  if (!route.scheme.empty()) return route.scheme == "http" ? *plain : *secure;
  const bool may_be_plain = insecure || http::locality(secure->host) == http::Locality::loopback;
  return may_be_plain ? find_out(*secure, *plain, has_alternative, doing) : *secure;
}

Endpoint Hosts::endpoint(const routes::Route& route, bool has_alternative, std::string_view doing) {
  const auto url = http::parse_url("https://" + route.host);
  if (!url) throw Error(ErrorCode::input, "invalid registry name " + go_quote(route.host));
  const bool insecure = route.insecure || is_insecure(*url);
  add_tls(*url, route);
  std::shared_ptr<Slot> slot;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Slot>& place = slots_[cat(route.scheme, '\n', route.host, insecure ? "\ninsecure" : "")];
    if (!place) place = std::make_shared<Slot>();
    slot = place;
  }
  const std::lock_guard lock(slot->mutex);
  if (!slot->base) {
    slot->base = base_of(route, insecure, has_alternative, doing);
    choose_client(*slot->base, has_alternative);
  }
  return {route.reference.registry, *slot->base,   insecure,   route.root,
          route.upstream,           route.headers, route.dial, has_alternative};
}

/// Holds for as long as mutex_ does.
Hosts::Certificates& Hosts::certificates(const http::Url& url) {
  const auto known = certificates_.find(url.authority());
  if (known != certificates_.end()) return known->second;
  return certificates_.emplace(url.authority(), read_certificates(url)).first->second;
}

http::TlsConfig Hosts::tls(const http::Url& url) {
  if (url.scheme != "https") return {};
  const std::lock_guard lock(mutex_);
  return certificates(url).tls;
}

/// Which of several pairs a host takes shows when it is asked. A refusal may get lost in the end of its connection
/// (TLS 1.3), so that a broken one counts as one. A host that takes none gets the first, whose refusal is then that of
/// the request.
void Hosts::choose_client(const http::Url& base, bool has_alternative) {
  std::vector<routes::ClientPair> clients;
  const auto use = [&](const routes::ClientPair& pair, bool chosen) {
    const std::lock_guard lock(mutex_);
    Certificates& known = certificates(base);
    use_client(known.tls, pair);
    known.chosen = chosen;
  };
  if (base.scheme != "https") return;
  {
    const std::lock_guard lock(mutex_);
    const Certificates& known = certificates(base);
    if (known.chosen || known.clients.size() < 2) return;
    clients = known.clients;
  }
  for (const routes::ClientPair& pair : clients) {
    use(pair, false);
    const http::Response answer = ping(base, has_alternative);
    if (!answer.failure && !wants_client_certificate(answer)) return use(pair, true);
    if (answer.failure && is_unreachable(answer.failure->kind)) break;
  }
  use(clients.front(), false);
}

/// What a file says of a host's certificates holds for its token server at the same place, too.
void Hosts::add_tls(const http::Url& url, const routes::Route& route) {
  const http::TlsConfig& more = route.tls;
  if (more == http::TlsConfig{} && route.clients.empty() && !route.insecure) return;
  const std::lock_guard lock(mutex_);
  Certificates& known = certificates(url);
  known.tls.verify = known.tls.verify && more.verify && !route.insecure;
  if (known.tls.extra_ca.find(more.extra_ca) == std::string::npos) known.tls.extra_ca += more.extra_ca;
  std::vector<routes::ClientPair> all = route.clients;
  std::copy_if(known.clients.begin(), known.clients.end(), std::back_inserter(all),
               [&](const routes::ClientPair& pair) { return std::find(all.begin(), all.end(), pair) == all.end(); });
  if (all.empty() || known.chosen) return;
  use_client(known.tls, all.front());
  known.clients = std::move(all);
}

Hosts::Certificates Hosts::read_certificates(const http::Url& url) {
  Certificates out;
  for (const std::string& name : directory_names(url))
    for (const std::string& directory : routes_.certificate_directories(name))
      routes::read_certificate_directory(directory, out.tls.extra_ca, out.clients);
  if (!out.clients.empty()) use_client(out.tls, out.clients.front());
  out.tls.verify = !is_insecure(url);
  return out;
}

}  // namespace cbuild::oci::registry
