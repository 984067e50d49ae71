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

std::string_view hint_for(const TransportFailure& failure) {
  switch (failure.kind) {
    case TransportFailure::Kind::certificate:
      return "put the authority's certificate into /etc/docker/certs.d/<host>/ca.crt, or name the registry "
             "as insecure";
    case TransportFailure::Kind::tls:
      return "if the registry speaks plain http, name it as insecure";
    default:
      return "";
  }
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
  throw error;
}

}  // namespace cbuild::oci::registry
