// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/failure.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "oci/json.h"

namespace cbuild::oci::registry {

namespace {

constexpr std::size_t kMostEntries = 5;

constexpr std::string_view kClientCertificateHint =
    "the registry wants a client certificate: put it into /etc/docker/certs.d/<host>/client.cert, and its key "
    "into client.key there";

std::string_view certificate_hint(const std::string& text) {
  if (text.find("subject name") != std::string::npos)
    return "the registry's certificate is for another host; use a name that it is for";
  if (text.find("expired") != std::string::npos) return "renew the registry's certificate, or set this machine's clock";
  return "put the authority's certificate into /etc/docker/certs.d/<host>/ca.crt, or name the registry "
         "as insecure";
}

std::string_view hint_for(const http::TransportFailure& failure) {
  switch (failure.kind) {
    case http::TransportFailure::Kind::certificate:
      return certificate_hint(failure.text);
    case http::TransportFailure::Kind::no_authorities:
      return "this machine has no certificates of authorities to trust: install them (Debian: ca-certificates), or "
             "name a file in SSL_CERT_FILE";
    case http::TransportFailure::Kind::client_certificate:
      return kClientCertificateHint;
    case http::TransportFailure::Kind::own_certificate:
      return "the client certificate in certs.d/<host> and its key have to be PEM files that belong together";
    case http::TransportFailure::Kind::tls:
      return "if the registry speaks plain http, name it as insecure: --insecure-registry HOST[:PORT]";
    case http::TransportFailure::Kind::stalled:
    case http::TransportFailure::Kind::slow:
      return http::kLimitsHint;
    default:
      return "";
  }
}

ErrorCode code_for(const http::Response& response) {
  if (response.failure) return ErrorCode::network;
  if (response.status == 404) return ErrorCode::not_found;
  return response.status == 401 || response.status == 403 ? ErrorCode::denied : ErrorCode::network;
}

}  // namespace

/// nginx answers 400 and a page where others end the handshake.
bool wants_client_certificate(const http::Response& response) {
  if (response.failure) return response.failure->kind == http::TransportFailure::Kind::client_certificate;
  return response.status == 400 && (response.body.find("No required SSL certificate") != std::string::npos ||
                                    response.body.find("SSL certificate error") != std::string::npos);
}

std::vector<RegistryError> parse_errors(std::string_view body) {
  std::vector<RegistryError> out;
  try {
    const nlohmann::json document = json::parse_object(body, 1u << 20, "error body");
    const nlohmann::json* errors = json::array(document, "errors");
    if (errors == nullptr) return out;
    for (const nlohmann::json& entry : *errors) {
      if (!entry.is_object() || out.size() == kMostEntries) break;
      out.push_back({json::text(entry, "code"), json::text(entry, "message")});
    }
  } catch (const Error&) {
    return {};  // HTML from a proxy, or anything else
  }
  return out;
}

bool has_code(const http::Response& response, std::string_view code) {
  const std::vector<RegistryError> errors = parse_errors(response.body);
  return std::any_of(errors.begin(), errors.end(), [&](const RegistryError& e) { return e.code == code; });
}

bool is_used_up_quota(const http::Response& response) {
  return response.status == 429 && has_code(response, "TOOMANYREQUESTS") && response.header("retry-after").empty();
}

std::string explain(const http::Response& response, const http::Secrets& secrets) {
  std::string detail;
  for (const RegistryError& error : parse_errors(response.body)) {
    if (!detail.empty()) detail += "; ";
    detail += error.code + (error.code.empty() || error.message.empty() ? "" : ": ") + error.message;
  }
  return http::explain_response(response, secrets, detail);
}

void throw_failure(const http::Response& response, std::string_view doing, const http::Secrets& secrets) {
  Error error(code_for(response), cat(doing, ": ", explain(response, secrets)));
  if (response.failure) error.with_hint(std::string(hint_for(*response.failure)));
  if (!response.failure && wants_client_certificate(response)) error.with_hint(std::string(kClientCertificateHint));
  throw error;
}

}  // namespace cbuild::oci::registry
