// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/failure.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "oci/json.h"

namespace cbuild::oci::registry {

namespace {

constexpr std::size_t kMostText = 400, kMostEntries = 5;

std::string_view reason_phrase(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 416:
      return "Range Not Satisfiable";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "";
  }
}

std::string shorten(std::string_view text) {
  text = trim(text);
  return text.size() <= kMostText ? std::string(text) : std::string(text.substr(0, kMostText)) + "...";
}

constexpr std::string_view kClientCertificateHint =
    "the registry wants a client certificate: put it into /etc/docker/certs.d/<host>/client.cert, and its key beside "
    "it into client.key";

std::string_view certificate_hint(const std::string& text) {
  if (text.find("subject name") != std::string::npos)
    return "the registry's certificate is for another host; use a name that it is for";
  if (text.find("expired") != std::string::npos) return "renew the registry's certificate, or set this machine's clock";
  return "put the authority's certificate into /etc/docker/certs.d/<host>/ca.crt, or name the registry "
         "as insecure";
}

std::string_view hint_for(const TransportFailure& failure) {
  switch (failure.kind) {
    case TransportFailure::Kind::certificate:
      return certificate_hint(failure.text);
    case TransportFailure::Kind::no_authorities:
      return "this machine has no certificates of authorities to trust: install them (Debian: ca-certificates), or "
             "name a file in SSL_CERT_FILE";
    case TransportFailure::Kind::client_certificate:
      return kClientCertificateHint;
    case TransportFailure::Kind::own_certificate:
      return "the client certificate in certs.d/<host> and its key have to be PEM files that belong together";
    case TransportFailure::Kind::tls:
      return "if the registry speaks plain http, name it as insecure: --insecure-registry HOST[:PORT]";
    case TransportFailure::Kind::stalled:
    case TransportFailure::Kind::slow:
      return kLimitsHint;
    default:
      return "";
  }
}

/// nginx answers 400 and a page where others end the handshake.
bool wants_client_certificate(const HttpResponse& response) {
  return response.status == 400 && (response.body.find("No required SSL certificate") != std::string::npos ||
                                    response.body.find("SSL certificate error") != std::string::npos);
}

ErrorCode code_for(const HttpResponse& response) {
  if (response.failure) return ErrorCode::network;
  if (response.status == 404) return ErrorCode::not_found;
  return response.status == 401 || response.status == 403 ? ErrorCode::denied : ErrorCode::network;
}

}  // namespace

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

bool has_code(const HttpResponse& response, std::string_view code) {
  const std::vector<RegistryError> errors = parse_errors(response.body);
  return std::any_of(errors.begin(), errors.end(), [&](const RegistryError& e) { return e.code == code; });
}

std::string explain(const HttpResponse& response, const Secrets& secrets) {
  if (response.failure) return secrets.redact(response.failure->text);
  std::string detail;
  for (const RegistryError& error : parse_errors(response.body)) {
    if (!detail.empty()) detail += "; ";
    detail += error.code + (error.code.empty() || error.message.empty() ? "" : ": ") + error.message;
  }
  const std::string_view body = trim(response.body);
  if (detail.empty() && !body.empty() && body.front() != '<') detail = body;
  if (detail.empty()) detail = reason_phrase(response.status);
  return cat("HTTP ", response.status, detail.empty() ? "" : " ", secrets.redact(shorten(detail)));
}

void throw_failure(const HttpResponse& response, std::string_view doing, const Secrets& secrets) {
  Error error(code_for(response), cat(doing, ": ", explain(response, secrets)));
  if (response.failure) error.with_hint(std::string(hint_for(*response.failure)));
  if (wants_client_certificate(response)) error.with_hint(std::string(kClientCertificateHint));
  throw error;
}

}  // namespace cbuild::oci::registry
