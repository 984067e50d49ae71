// SPDX-License-Identifier: Apache-2.0
#include "base/http/curl_failure.h"

#include <algorithm>
#include <initializer_list>

#include "base/text.h"

namespace cbuild::http {

namespace {

using FailureKind = TransportFailure::Kind;

bool says(const std::string& text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](std::string_view part) { return text.find(part) != std::string::npos; });
}

/// TLS alerts come with the handshake (TLS 1.2) or with the first read after it (TLS 1.3).
bool wants_our_certificate(const std::string& text) {
  return says(text, {"certificate required", "Certificate is required", "alert bad certificate", "alert unknown ca",
                     "alert certificate unknown", "alert certificate expired"});
}

/// How a handshake failed: by the connection, or by an answer of the other side.
FailureKind handshake_kind(const std::string& text) {
  if (wants_our_certificate(text)) return FailureKind::client_certificate;
  if (says(text, {"SSL_ERROR_SYSCALL", "reset by peer", "unexpected eof", "Broken pipe", "SSL_ERROR_ZERO_RETURN",
                  "non-properly terminated", "Error in the pull function"})) {
    return FailureKind::broken;
  }
  return FailureKind::tls;
}

FailureKind kind_of(CURLcode code, const std::string& text) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return FailureKind::resolve;
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:  // only the connection has a time limit in libcurl
      return FailureKind::connect;
    case CURLE_SSL_CONNECT_ERROR:
      return handshake_kind(text);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return FailureKind::certificate;
    case CURLE_SSL_CACERT_BADFILE:
      return FailureKind::no_authorities;
    case CURLE_SSL_CERTPROBLEM:
      return FailureKind::own_certificate;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return wants_our_certificate(text) ? FailureKind::client_certificate : FailureKind::broken;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:  // an answer without a status line
      return FailureKind::broken;
    default:
      return FailureKind::other;
  }
}

}  // namespace

TransportFailure failure_of(CURLcode code, const std::string& text) {
  const bool no_http = code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_UNSUPPORTED_PROTOCOL;
  return {kind_of(code, text), no_http ? cat("the answer is not HTTP (", text, ")") : text};
}

}  // namespace cbuild::http
