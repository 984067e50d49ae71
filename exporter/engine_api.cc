// SPDX-License-Identifier: Apache-2.0
// Docker's API over what docker's client speaks: a socket of this machine, TCP with or without TLS, and ssh, where
// `docker system dial-stdio` on the other machine passes the bytes on. Each request is one connection.
#include "exporter/engine_api.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "exporter/engine_dial.h"

namespace cbuild::exporter {
namespace {

constexpr std::size_t kMostAnswer = 64u << 20;
constexpr std::chrono::milliseconds kEngineAnswer{60'000}, kLoadAnswer{3'600'000};

/// The message of an answer that is not a success: {"message": "..."}, or its text.
std::string message_of(const http::Response& response) {
  const nlohmann::json body = nlohmann::json::parse(response.body, nullptr, false);
  if (body.is_object())
    for (const char* key : {"message", "cause", "error"})
      if (const auto it = body.find(key); it != body.end() && it->is_string())
        return sanitize_for_terminal(it->get<std::string>());
  return sanitize_for_terminal(trim(std::string_view(response.body).substr(0, 400)));
}

/// "error" of one of the JSON documents of a load's answer; empty if there is none.
std::string error_in(const std::string& answer) {
  for (const std::string& line : split(answer, '\n')) {
    const nlohmann::json message = nlohmann::json::parse(line, nullptr, false);
    if (!message.is_object()) continue;
    if (const auto it = message.find("error"); it != message.end() && it->is_string())
      return sanitize_for_terminal(it->get<std::string>());
  }
  return {};
}

}  // namespace

struct EngineApi::Impl {
  Impl(const EngineAddress& engine, const CancelSource* cancel) : address(engine), pool({4, cancel}) {
    const std::string& url = address.url;
    base = *http::parse_url("http://localhost/");
    if (url.starts_with("unix://")) {
      socket = url.substr(std::string_view("unix://").size());
    } else if (url.starts_with("ssh://")) {
      dial.emplace(url);
      socket = dial->path();
    } else {
      const std::size_t scheme = url.find("://");
      const bool known = url.starts_with("tcp://") || url.starts_with("http://") || url.starts_with("https://");
      const bool tls = url.starts_with("https://") || address.has_tls;
      const auto parsed =
          known ? http::parse_url(cat(tls ? "https://" : "http://", url.substr(scheme + 3))) : std::nullopt;
      if (!parsed)
        throw Error(ErrorCode::usage, cat("invalid engine address ", address.text()))
            .with_hint("unix://PATH, tcp://HOST:PORT or ssh://HOST");
      base = *parsed;
    }
  }

  http::Request request(const char* method, const std::string& path) {
    http::Request out;
    out.method = method;
    out.url = base;
    const std::size_t query = path.find('?');
    out.url.path = path.substr(0, query);
    if (query != std::string::npos) out.url.query = path.substr(query);
    out.unix_socket = socket;
    out.tls = address.tls;
    out.limit = kMostAnswer;
    out.limits.rate = 0;
    out.limits.answer = out.limits.window = kEngineAnswer;
    return out;
  }

  http::Response perform(const http::Request& request) {
    http::Response response = pool.perform(request);
    if (response.ok()) return response;
    if (response.failure) {
      // libcurl's words name the host of the URL, which stands for the socket.
      const bool nobody = response.failure->kind == http::TransportFailure::Kind::connect && !socket.empty();
      const std::string why = nobody ? "nothing listens at the socket" : response.failure->text;
      throw Error(ErrorCode::network, cat("engine at ", address.text(), ": ", why))
          .with_hint("is the engine running? write a file instead: --output type=docker,dest=image.tar");
    }
    throw Error(response.status == 404 ? ErrorCode::not_found : ErrorCode::network,
                cat("engine at ", address.text(), ": HTTP ", response.status, ": ", message_of(response)));
  }

  const EngineAddress address;
  http::Url base;
  std::string socket;
  std::optional<EngineDial> dial;  ///< ends after the pool
  http::Pool pool;
};

EngineApi::EngineApi(const EngineAddress& address, const CancelSource* cancel)
    : impl_(std::make_unique<Impl>(address, cancel)) {}
EngineApi::~EngineApi() = default;

nlohmann::json EngineApi::get(const std::string& path) {
  const http::Response response = impl_->perform(impl_->request("GET", path));
  nlohmann::json out = nlohmann::json::parse(response.body, nullptr, false);
  if (out.is_discarded())
    throw Error(ErrorCode::network, cat("engine at ", impl_->address.text(), ": the answer to ", path, " is not JSON"));
  return out;
}

void EngineApi::load(int archive) {
  http::Request request = impl_->request("POST", "/images/load?quiet=1");
  request.headers.emplace_back("Content-Type", "application/x-tar");
  request.body_fd = archive;
  request.body_is_stream = true;
  request.limits.answer = request.limits.window = kLoadAnswer;
  const http::Response response = impl_->perform(request);
  if (const std::string error = error_in(response.body); !error.empty())
    throw Error(ErrorCode::io, cat("engine at ", impl_->address.text(), ": ", error));
}

}  // namespace cbuild::exporter
