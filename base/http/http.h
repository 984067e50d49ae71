// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/http/limits.h"
#include "base/http/url.h"

namespace cbuild::http {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

/// How the other side of a TLS connection is checked and what we show it.
struct TlsConfig {
  bool verify = true;
  std::string extra_ca;          ///< PEM, besides the system's certificates
  std::string certificate, key;  ///< paths of a client pair, or empty

  bool operator==(const TlsConfig&) const = default;
};

/// Why there is no complete HTTP answer.
struct TransportFailure {
  enum class Kind {
    resolve,             ///< the host name is not known
    connect,             ///< nobody listens, or the connection takes too long
    tls,                 ///< the other side does not speak TLS, or not a version of it that we do
    certificate,         ///< the certificate is not trusted
    no_authorities,      ///< this machine has no certificates to trust
    client_certificate,  ///< the other side wants a certificate from us, or another one
    own_certificate,     ///< our certificate or its key cannot be used
    stalled,             ///< silent for longer than the limits allow
    slow,                ///< slower than the limits allow
    broken,              ///< the connection ended in the middle, or the answer is not HTTP
    damaged,             ///< complete, but its digest or format does not fit
    too_large,           ///< a buffered body, or the headers, are over their limit
    other,
  };
  Kind kind = Kind::other;
  std::string text;
};

struct Response {
  int status = 0;      ///< 0 when no status line has come
  HeaderList headers;  ///< names in lower case
  std::string body;    ///< unless it went to a sink
  std::optional<TransportFailure> failure;

  bool ok() const { return !failure && status >= 200 && status < 300; }
  /// First value of a header (name in lower case), or "".
  std::string_view header(std::string_view name) const;
  std::vector<std::string_view> all(std::string_view name) const;
};

/// Receives the body of a 2xx answer piece by piece; the response has its status and headers by then. May
/// throw, which ends the exchange and comes out of Pool::perform.
using BodySink = std::function<void(const Response& head, std::span<const std::byte> data)>;

struct Request {
  std::string method = "GET";
  Url url;
  HeaderList headers;
  std::string body;
  int body_fd = -1;  ///< when set, `body_size` bytes of this file from `body_offset` on are the body; borrowed
  std::uint64_t body_offset = 0, body_size = 0;
  bool body_is_stream = false;  ///< instead `body_fd` is a pipe, read to its end once; the size is not stated
  std::string unix_socket;      ///< path of the socket that is connected to in the place of the URL's host
  std::function<void(std::uint64_t sent)> on_sent;
  BodySink sink;
  std::size_t limit = 1u << 20;  ///< of a buffered 2xx body; other bodies are cut at 64 KiB
  bool decode = false;           ///< the body comes without its Content-Encoding; else as it is on the wire
  TlsConfig tls;
  TransferLimits limits;
  bool cancellable = true;
};

/// Performs single HTTP exchanges over libcurl, which is opened on first use. Thread-safe: each exchange has
/// a handle of its own from a pool that keeps connections, names and TLS sessions. Follows no redirects,
/// starts no threads.
class Pool {
 public:
  struct Options {
    unsigned max_connections_per_host = 4;
    const CancelSource* cancel = nullptr;
  };
  explicit Pool(Options options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Throws Error{cancelled}, Error{unsupported} without libcurl, or what the sink throws. Everything that
  /// goes wrong on the wire is a value in the response.
  Response perform(const Request& request);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::http
