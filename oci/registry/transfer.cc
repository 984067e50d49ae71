// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/transfer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::oci::registry {

namespace {

constexpr std::size_t kErrorBody = 64u << 10;     // of an answer that is no success; the rest is dropped
constexpr std::uint64_t kMostDropped = 1u << 20;  // after that much of the rest the exchange ends
constexpr std::uint64_t kMostHeaders = 1u << 20;
constexpr long kConnectTimeoutMs = 30'000, kBufferSize = 256L << 10;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

/// The certificates the system trusts, as one PEM text; needed only where some are added to them.
std::string system_bundle(const CurlLibrary& curl) {
  std::vector<std::string> candidates = {variable("SSL_CERT_FILE")};
  const curl_version_info_data* info = curl.version_info(CURLVERSION_NOW);
  if (info->age >= CURLVERSION_SEVENTH && info->cainfo != nullptr) candidates.emplace_back(info->cainfo);
  for (const char* known : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                            "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    candidates.emplace_back(known);
  }
  for (const std::string& path : candidates) {
    if (path.empty()) continue;
    if (const auto fd = sys::try_open_at(AT_FDCWD, path, O_RDONLY)) return sys::read_all(fd->get(), 16u << 20);
  }
  return {};
}

TransportFailure::Kind kind_of(CURLcode code) {
  using Kind = TransportFailure::Kind;
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return Kind::resolve;
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
      return Kind::connect;
    case CURLE_SSL_CONNECT_ERROR:
      return Kind::tls;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return Kind::certificate;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return Kind::broken;
    default:
      return Kind::other;
  }
}

}  // namespace

Transfer::Transfer(const CurlLibrary& curl, CURLSH* share, CURLM* multi, CURL* easy, const HttpRequest& request,
                   const CancelSource* cancel)
    : curl_(curl), share_(share), multi_(multi), easy_(easy), request_(request), cancel_(cancel) {
  curl_.easy_reset(easy_);
}

Transfer::~Transfer() {
  curl_.easy_reset(easy_);
  curl_.slist_free_all(headers_);
}

template <typename T>
void Transfer::set(CURLoption option, T value) {
  if (const CURLcode code = curl_.easy_setopt(easy_, option, value); code != CURLE_OK) {
    throw Error(ErrorCode::unsupported,
                cat("libcurl option ", static_cast<int>(option), ": ", curl_.easy_strerror(code)));
  }
}

void Transfer::set_up() {
  set(CURLOPT_URL, request_.url.str().c_str());
  set(CURLOPT_ERRORBUFFER, error_text_);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_SHARE, share_);
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  // A handle that was used before keeps its buffers and refuses new sizes; they are the same ones.
  (void)curl_.easy_setopt(easy_, CURLOPT_BUFFERSIZE, kBufferSize);
  (void)curl_.easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, kBufferSize);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set_method();
  set_headers();
  set_tls();
  set_proxy();
}

void Transfer::set_method() {
  if (request_.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (request_.body_fd >= 0) {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.body_size));
    set(CURLOPT_READFUNCTION, &Transfer::on_read);
    set(CURLOPT_READDATA, static_cast<void*>(this));
    set(CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
    set(CURLOPT_SEEKDATA, static_cast<void*>(this));
    set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  } else if (request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH") {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(CURLOPT_POSTFIELDS, request_.body.c_str());
    set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  } else if (request_.method != "GET") {
    set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
}

void Transfer::set_headers() {
  const auto add = [&](const std::string& line) {
    curl_slist* longer = curl_.slist_append(headers_, line.c_str());
    CBUILD_CHECK(longer != nullptr);
    headers_ = longer;
  };
  bool has_type = false;
  for (const auto& [name, value] : request_.headers) {
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      throw Error(ErrorCode::input, "line break in the HTTP header " + name);
    }
    has_type |= iequals(name, "content-type");
    add(value.empty() ? name + ";" : name + ": " + value);
  }
  add("Expect:");  // waiting for "100 Continue" costs a second where a proxy swallows it
  if (!has_type) add("Content-Type:");
  add("User-Agent: cbuild/" CBUILD_VERSION);
  set(CURLOPT_HTTPHEADER, headers_);
}

void Transfer::set_tls() {
  const TlsConfig& tls = request_.tls;
  set(CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
  if (!tls.certificate.empty()) {
    set(CURLOPT_SSLCERT, tls.certificate.c_str());
    set(CURLOPT_SSLKEY, tls.key.c_str());
  }
  if (!tls.verify || request_.url.scheme != "https") return;
  // The library does not look at these variables, only its command line tool does.
  if (const std::string dir = variable("SSL_CERT_DIR"); !dir.empty()) set(CURLOPT_CAPATH, dir.c_str());
  if (!tls.extra_ca.empty()) {
    ca_bundle_ = system_bundle(curl_) + "\n" + tls.extra_ca;
    curl_blob blob{ca_bundle_.data(), ca_bundle_.size(), CURL_BLOB_NOCOPY};
    set(CURLOPT_CAINFO_BLOB, &blob);
  } else if (const std::string file = variable("SSL_CERT_FILE"); !file.empty()) {
    set(CURLOPT_CAINFO, file.c_str());
  }
}

/// libcurl reads the variables itself, but unlike Go's programs not HTTP_PROXY, and it would use a proxy for
/// loopback.
void Transfer::set_proxy() {
  if (locality(request_.url.host) == Locality::loopback) {
    set(CURLOPT_NOPROXY, "*");
    return;
  }
  const bool in_cgi = !variable("REQUEST_METHOD").empty();  // there HTTP_PROXY is a header of the client
  if (request_.url.scheme != "http" || in_cgi || !variable("http_proxy").empty()) return;
  if (const std::string proxy = variable("HTTP_PROXY"); !proxy.empty()) set(CURLOPT_PROXY, proxy.c_str());
}

HttpResponse Transfer::run() {
  set_up();
  const CURLcode code = drive();
  if (cancelled_) throw Error(ErrorCode::cancelled, "cancelled");
  if (thrown_) std::rethrow_exception(thrown_);
  classify(code);
  return std::move(response_);
}

CURLcode Transfer::drive() {
  last_activity_ns_ = sys::monotonic_ns();
  if (const CURLMcode code = curl_.multi_add_handle(multi_, easy_); code != CURLM_OK) {
    throw Error(ErrorCode::network, cat("libcurl: ", curl_.multi_strerror(code)));
  }
  const ScopeExit remove([&] { curl_.multi_remove_handle(multi_, easy_); });
  int running = 1;
  while (true) {
    if (const CURLMcode code = curl_.multi_perform(multi_, &running); code != CURLM_OK) {
      throw Error(ErrorCode::network, cat("libcurl: ", curl_.multi_strerror(code)));
    }
    if (running == 0) break;
    if (!wait()) return CURLE_ABORTED_BY_CALLBACK;
  }
  int left = 0;
  const CURLMsg* message = curl_.multi_info_read(multi_, &left);
  return message == nullptr ? CURLE_ABORTED_BY_CALLBACK : message->data.result;
}

/// Waits for the network; false when the exchange has to end.
bool Transfer::wait() {
  cancelled_ = cancel_ != nullptr && cancel_->cancelled();
  const std::int64_t idle_ms = (sys::monotonic_ns() - last_activity_ns_) / 1'000'000;
  const std::int64_t left_ms = request_.stall.count() - idle_ms;
  stalled_ = left_ms <= 0;
  if (cancelled_ || stalled_) return false;
  curl_waitfd cancel_fd{};
  if (cancel_ != nullptr) {
    cancel_fd.fd = cancel_->event_fd();
    cancel_fd.events = CURL_WAIT_POLLIN;
  }
  curl_.multi_poll(multi_, &cancel_fd, cancel_ == nullptr ? 0u : 1u,
                   static_cast<int>(std::clamp<std::int64_t>(left_ms, 1, 1000)), nullptr);
  return true;
}

void Transfer::classify(CURLcode code) {
  using Kind = TransportFailure::Kind;
  if (stalled_) {
    response_.failure = {Kind::stalled, cat("no data for ", request_.stall.count() / 1000, " s")};
  } else if (too_large_) {
    response_.failure = {Kind::too_large, cat("answer is larger than ", request_.limit, " bytes")};
  } else if (code != CURLE_OK && discarded_ < kMostDropped) {
    response_.failure = {kind_of(code), error_text_[0] != '\0' ? error_text_ : curl_.easy_strerror(code)};
  }
}

std::size_t Transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.header_bytes_ += size * count;
  if (transfer.header_bytes_ > kMostHeaders) return 0;
  transfer.take_header({data, size * count});
  return size * count;
}

void Transfer::take_header(std::string_view line) {
  last_activity_ns_ = sys::monotonic_ns();
  line = trim(line);
  if (line.starts_with("HTTP/")) {  // also after an interim answer
    const std::size_t blank = line.find(' ');
    response_.headers.clear();
    response_.status = 0;
    if (blank != std::string_view::npos) {
      response_.status = static_cast<int>(parse_int(line.substr(blank + 1, 3)).value_or(0));
    }
    return;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  response_.headers.emplace_back(to_lower(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1))));
}

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    return transfer.take_body(std::as_bytes(std::span(data, size * count))) ? size * count : 0;
  } catch (...) {  // must not unwind through libcurl
    transfer.thrown_ = std::current_exception();
    return 0;
  }
}

bool Transfer::take_body(std::span<const std::byte> data) {
  last_activity_ns_ = sys::monotonic_ns();
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  if (response_.ok()) {
    if (request_.sink) {
      request_.sink(response_, data);
      return true;
    }
    too_large_ = response_.body.size() + text.size() > request_.limit;
    if (!too_large_) response_.body += text;
    return !too_large_;
  }
  const std::size_t room = kErrorBody - response_.body.size();
  response_.body += text.substr(0, room);
  discarded_ += text.size() - std::min(room, text.size());
  return discarded_ < kMostDropped;
}

std::size_t Transfer::on_read(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    return transfer.give_body(std::as_writable_bytes(std::span(data, size * count)));
  } catch (...) {  // must not unwind through libcurl
    transfer.thrown_ = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

std::size_t Transfer::give_body(std::span<std::byte> buffer) {
  last_activity_ns_ = sys::monotonic_ns();
  const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), request_.body_size - sent_);
  ssize_t got = 0;
  do {
    got = ::pread(request_.body_fd, buffer.data(), wanted, static_cast<off_t>(sent_));
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw_errno(errno, "read of the blob to upload");
  if (got == 0 && wanted > 0) throw Error(ErrorCode::corrupt, "the blob to upload is shorter than its descriptor says");
  sent_ += static_cast<std::uint64_t>(got);
  if (request_.on_sent) request_.on_sent(sent_);
  return static_cast<std::size_t>(got);
}

int Transfer::on_seek(void* self, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Transfer*>(self)->sent_ = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

}  // namespace cbuild::oci::registry
