// SPDX-License-Identifier: Apache-2.0
// Variables as opentelemetry.io/docs/specs/otel/protocol/exporter has them: those for traces stand before the general
// ones. The protocol is http/json, which collectors take at the port of http/protobuf; gRPC is not spoken.
#include "cli/telemetry.h"

#include <fcntl.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/http/http.h"
#include "base/plain_file.h"
#include "base/process/environment.h"
#include "base/text.h"
#include "base/url_parts.h"
#include "base/words.h"
#include "cache/store.h"
#include "cli/report/history.h"
#include "cli/report/trace.h"

namespace cbuild::cli {
namespace {

constexpr std::size_t kMaxCertificates = 16u << 20;

/// OTEL_EXPORTER_OTLP_TRACES_NAME, else OTEL_EXPORTER_OTLP_NAME.
std::string exporter_variable(const std::string& name) {
  const std::string own = environment_value(cat("OTEL_EXPORTER_OTLP_TRACES_", name));
  return own.empty() ? environment_value(cat("OTEL_EXPORTER_OTLP_", name)) : own;
}

/// "NAME=VALUE,...", percent-encoded.
std::vector<std::pair<std::string, std::string>> pairs_of(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& field : split(text, ',')) {
    const std::size_t equals = field.find('=');
    if (equals == std::string::npos || trim(field.substr(0, equals)).empty()) continue;
    out.emplace_back(percent_decode(trim(field.substr(0, equals))), percent_decode(trim(field.substr(equals + 1))));
  }
  return out;
}

std::optional<std::string> endpoint() {
  if (parse_bool(environment_value("OTEL_SDK_DISABLED")).value_or(false) ||
      environment_value("OTEL_TRACES_EXPORTER") == "none")
    return std::nullopt;
  if (std::string own = environment_value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"); !own.empty()) return own;
  std::string general = environment_value("OTEL_EXPORTER_OTLP_ENDPOINT");
  if (general.empty()) return std::nullopt;
  while (general.ends_with('/')) general.pop_back();
  return general + "/v1/traces";
}

TraceContext context_of_environment() {
  TraceContext out;
  set_parent(environment_value("TRACEPARENT"), out);
  for (auto& pair : pairs_of(environment_value("OTEL_RESOURCE_ATTRIBUTES"))) out.resource.push_back(std::move(pair));
  if (const std::string service = environment_value("OTEL_SERVICE_NAME"); !service.empty())
    out.resource[0].second = service;
  return out;
}

http::Request request_to(const std::string& text) {
  const auto url = http::parse_url(text);
  if (!url) throw Error(ErrorCode::usage, cat("'", text, "' is not an http or https URL"));
  if (exporter_variable("PROTOCOL") == "grpc")
    throw Error(ErrorCode::unsupported, "the protocol grpc is not spoken")
        .with_hint("OTEL_EXPORTER_OTLP_PROTOCOL=http/json, and the collector's port for HTTP (4318)");
  http::Request out;
  out.method = "POST";
  out.url = *url;
  out.headers = {{"Content-Type", "application/json"}};
  for (auto& pair : pairs_of(exporter_variable("HEADERS"))) out.headers.push_back(std::move(pair));
  const std::chrono::milliseconds limit(parse_int(exporter_variable("TIMEOUT")).value_or(10'000));
  out.limits = {limit, limit, limit, 0};
  if (const std::string file = exporter_variable("CERTIFICATE"); !file.empty()) {
    const auto pem = sys::try_read_plain(AT_FDCWD, file, kMaxCertificates);
    if (!pem) throw Error(ErrorCode::not_found, cat(file, " is missing"));
    out.tls.extra_ca = *pem;
  }
  return out;
}

void send(const engine::Session& session, const std::string& build, const std::string& to) {
  http::Request request = request_to(to);
  cache::Store store(engine::store_options(session));
  request.body = otlp_trace(find_build(store, build), context_of_environment())
                     .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  http::Pool pool({});
  const http::Response response = pool.perform(request);
  if (response.failure) throw Error(ErrorCode::io, response.failure->text);
  if (!response.ok()) throw Error(ErrorCode::io, cat("HTTP status ", response.status));
}

}  // namespace

void send_trace(const engine::Session& session, const std::string& build) {
  const auto to = endpoint();
  if (!to || build.empty()) return;
  try {
    send(session, build, *to);
  } catch (const Error& error) {
    std::cerr << "NOTE: the trace is not sent to " << sanitize_for_terminal(*to) << ": "
              << sanitize_for_terminal(error.what()) << (error.hint().empty() ? "" : cat(" (", error.hint(), ")"))
              << '\n';
  }
}

}  // namespace cbuild::cli
