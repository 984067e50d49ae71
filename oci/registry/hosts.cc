// SPDX-License-Identifier: Apache-2.0
// How to reach a registry: https, or plain http where that is allowed (loopback and --insecure-registry), found out by
// asking both once; and the certificates for it from the certs.d directories of docker and podman. A connection that
// breaks tells neither way, so it is tried again before anything is decided.
#include "oci/registry/hosts.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/registry/failure.h"

namespace cbuild::oci::registry {

namespace {

using FailureKind = http::TransportFailure::Kind;
constexpr std::size_t kMostCertificates = 1u << 20;
constexpr std::chrono::milliseconds kProbeHandshake{10'000};

/// certs.d directories are named as users write the registry; docker.io's API has another host.
std::vector<std::string> directory_names(const http::Url& url) {
  std::vector<std::string> names = {url.authority()};
  if (url.port.empty()) names.push_back(url.host + (url.scheme == "https" ? ":443" : ":80"));
  if (url.host == "registry-1.docker.io") names.emplace_back("docker.io");
  return names;
}

std::vector<std::string> certificate_roots(const Options& options) {
  std::vector<std::string> roots = options.cert_dirs;
  const char* config = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  if (config != nullptr && *config != '\0') {
    roots.push_back(join_path(config, "containers/certs.d"));
  } else if (home != nullptr && *home != '\0') {
    roots.push_back(join_path(home, ".config/containers/certs.d"));
  }
  return roots;
}

std::string read_certificate(const std::string& path) {
  if (auto text = sys::try_read_plain(AT_FDCWD, path, kMostCertificates)) return std::move(*text);
  throw Error(ErrorCode::input, cat(path, " does not exist"));
}

void read_directory(const std::string& path, http::TlsConfig& tls) {
  const auto dir = sys::try_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  if (!dir) return;
  const std::vector<std::string> names = sys::list_dir(dir->get());
  for (const std::string& name : names) {
    if (name.ends_with(".crt")) tls.extra_ca += read_certificate(join_path(path, name)) + "\n";
    if (!name.ends_with(".cert") || !tls.certificate.empty()) continue;
    const std::string key = name.substr(0, name.size() - 4) + "key";
    if (std::find(names.begin(), names.end(), key) == names.end()) {
      throw Error(ErrorCode::input, cat(join_path(path, name), ": ", key, " is missing"));
    }
    tls.certificate = join_path(path, name);
    tls.key = join_path(path, key);
    // libcurl opens them by itself, and would wait for ever for the writer of a FIFO.
    (void)read_certificate(tls.certificate);
    (void)read_certificate(tls.key);
  }
}

/// Whether there is a TLS server, though perhaps one that we do not trust or that does not trust us.
bool speaks_tls(const http::Response& response) {
  if (!response.failure) return true;
  const FailureKind kind = response.failure->kind;
  return kind != FailureKind::tls && kind != FailureKind::connect && kind != FailureKind::broken &&
         kind != FailureKind::resolve && kind != FailureKind::no_authorities && kind != FailureKind::stalled;
}

/// Of two failures: whether the one over plain http shows the reason better.
bool is_more_telling(const http::Response& by_http, const http::Response& by_tls) {
  if (!by_http.failure || by_tls.failure->kind == FailureKind::no_authorities) return false;
  return by_tls.failure->kind == FailureKind::tls || by_http.failure->kind != FailureKind::connect;
}

}  // namespace

Hosts::Hosts(const Options& options, http::Pool& pool, const http::Secrets& secrets, http::RetryPolicy& retry)
    : options_(options), pool_(pool), secrets_(secrets), retry_(retry) {}

bool Hosts::is_insecure(const http::Url& url) const {
  return std::any_of(options_.insecure.begin(), options_.insecure.end(), [&](const std::string& entry) {
    const std::string name = to_lower(entry);
    return name == url.host || name == url.authority() ||
           (url.port.empty() && name == url.host + (url.scheme == "https" ? ":443" : ":80"));
  });
}

http::Response Hosts::ping(const http::Url& base) {
  http::Request ping;
  ping.url = base;
  ping.url.path = "/v2/";
  ping.tls = tls(ping.url);
  ping.limits = options_.limits;
  // A server of plain http may wait for the end of a line while we wait for its part of the handshake.
  if (base.scheme == "https") ping.limits.connect = std::min(ping.limits.connect, kProbeHandshake);
  retry_.wait_turn(base.origin());
  return pool_.perform(ping);
}

/// A connection that breaks says nothing, so both are asked again as anything else is.
http::Url Hosts::find_out(const http::Url& secure, const http::Url& plain, std::string_view doing) {
  for (unsigned attempt = 1;; ++attempt) {
    const http::Response by_tls = ping(secure);
    if (speaks_tls(by_tls)) return secure;
    const http::Response by_http = ping(plain);
    const bool tls_is_refused = by_tls.failure->kind == FailureKind::tls;
    // TLS servers answer 400 to plain http.
    if (!by_http.failure && (by_http.status != 400 || tls_is_refused)) return plain;
    const http::Response& telling = is_more_telling(by_http, by_tls) ? by_http : by_tls;
    const std::string why = cat(doing, ": ", explain(telling, secrets_));
    if (!retry_.again(telling, secure.origin(), attempt, why)) throw_failure(telling, doing, secrets_);
  }
}

Endpoint Hosts::endpoint(const std::string& registry, std::string_view doing) {
  std::shared_ptr<Slot> slot;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Slot>& place = slots_[registry];
    if (!place) place = std::make_shared<Slot>();
    slot = place;
  }
  const std::lock_guard lock(slot->mutex);
  if (slot->endpoint) return *slot->endpoint;
  const std::string host = registry == "docker.io" ? "registry-1.docker.io" : registry;
  const std::optional<http::Url> secure = http::parse_url("https://" + host), plain = http::parse_url("http://" + host);
  if (!secure || !plain) throw Error(ErrorCode::input, "invalid registry name " + go_quote(registry));
  Endpoint out{registry, *secure, is_insecure(*secure)};
  const bool may_be_plain = out.insecure || http::locality(secure->host) == http::Locality::loopback;
  if (may_be_plain) out.base = find_out(*secure, *plain, doing);
  slot->endpoint = out;
  return out;
}

http::TlsConfig Hosts::tls(const http::Url& url) {
  if (url.scheme != "https") return {};
  const std::lock_guard lock(mutex_);
  const auto known = tls_.find(url.authority());
  if (known != tls_.end()) return known->second;
  return tls_.emplace(url.authority(), read_certificates(url)).first->second;
}

http::TlsConfig Hosts::read_certificates(const http::Url& url) const {
  http::TlsConfig tls;
  for (const std::string& root : certificate_roots(options_)) {
    for (const std::string& name : directory_names(url)) read_directory(join_path(root, name), tls);
  }
  tls.verify = !is_insecure(url);
  return tls;
}

}  // namespace cbuild::oci::registry
