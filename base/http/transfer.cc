// SPDX-License-Identifier: Apache-2.0
//
// One request and its answer. libcurl's easy handle is driven through a multi handle, because only that can wait for a
// cancel's event descriptor and the network at once. Limits are checked while bytes come: size of headers and body, and
// the rate (Pace). A failure on the wire is a value in the Response, so that retry.cc can decide on another try; an
// exception of the caller's callback passes through libcurl's C frames as an exception_ptr.
#include "base/http/transfer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/http/curl_failure.h"
#include "base/plain_file.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::http {

namespace {

constexpr std::size_t kErrorBody = 64u << 10;     // of an answer that is not a success; the rest is dropped
constexpr std::uint64_t kMostDropped = 1u << 20;  // after that much of the rest the exchange ends
constexpr std::uint64_t kMostHeaders = 1u << 20;
constexpr long kBufferSize = 256L << 10, kUploadBufferSize = 64L << 10;
constexpr int kMostUnsent = 64 << 10;  // in the kernel: so that it is seen how fast an upload moves

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

/// The file with the certificates the system trusts; empty if there is none. A libcurl that is linked in knows none,
/// because each distribution has another one.
std::string system_bundle_file(const CurlLibrary& curl) {
  if (std::string wanted = variable("SSL_CERT_FILE"); !wanted.empty()) return wanted;
  std::vector<std::string> candidates;
  const curl_version_info_data* info = curl.version_info(CURLVERSION_NOW);
  if (info->age >= CURLVERSION_SEVENTH && info->cainfo != nullptr) candidates.emplace_back(info->cainfo);
  for (const char* known : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                            "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    candidates.emplace_back(known);
  }
  for (const std::string& path : candidates)
    if (::access(path.c_str(), R_OK) == 0) return path;
  return {};
}

/// Those certificates as one PEM text; needed only where some are added to them.
std::string system_bundle(const CurlLibrary& curl) {
  return sys::try_read_plain(AT_FDCWD, system_bundle_file(curl), 16u << 20).value_or("");
}

int limit_unsent(void*, curl_socket_t socket, curlsocktype) {
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kMostUnsent, sizeof kMostUnsent);
  return CURL_SOCKOPT_OK;
}

}  // namespace

Transfer::Transfer(const CurlLibrary& curl, CURLSH* share, CURLM* multi, CURL* easy, const Request& request,
                   const CancelSource* cancel)
    : curl_(curl),
      share_(share),
      multi_(multi),
      easy_(easy),
      request_(request),
      cancel_(cancel),
      pace_(request.limits, request.body_fd >= 0 ? request.body_size : 0) {
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
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.limits.connect.count()));
  // A handle that was used before keeps its buffers and refuses new sizes; they are the same ones.
  (void)curl_.easy_setopt(easy_, CURLOPT_BUFFERSIZE, kBufferSize);
  (void)curl_.easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, kUploadBufferSize);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  if (request_.decode) set(CURLOPT_ACCEPT_ENCODING, "identity");  // an encoded body is decoded all the same
  set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_PREREQFUNCTION, &Transfer::on_connected);
  set(CURLOPT_PREREQDATA, static_cast<void*>(this));
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
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(this));
    set(CURLOPT_SOCKOPTFUNCTION, &limit_unsent);
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
  } else if (const std::string file = system_bundle_file(curl_); !file.empty()) {
    if (const auto st = sys::try_stat_at(AT_FDCWD, file, 0); st && !S_ISCHR(st->st_mode))
      sys::check_is_plain(st->st_mode, file);
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

Response Transfer::run() {
  set_up();
  const CURLcode code = drive();
  if (cancelled_) throw Error(ErrorCode::cancelled, "cancelled");
  if (thrown_) std::rethrow_exception(thrown_);
  classify(code);
  return std::move(response_);
}

CURLcode Transfer::drive() {
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
  late_ = pace_.over();
  if (cancelled_ || late_) return false;
  curl_waitfd cancel_fd{};
  if (cancel_ != nullptr) {
    cancel_fd.fd = cancel_->event_fd();
    cancel_fd.events = CURL_WAIT_POLLIN;
  }
  const std::int64_t before = sys::monotonic_ns();
  curl_.multi_poll(multi_, &cancel_fd, cancel_ == nullptr ? 0u : 1u,
                   static_cast<int>(std::min<std::int64_t>(pace_.left().count(), 1000)), nullptr);
  pace_.waited(std::chrono::nanoseconds(sys::monotonic_ns() - before));
  return true;
}

void Transfer::classify(CURLcode code) {
  using Kind = TransportFailure::Kind;
  if (late_) {
    response_.failure = late_;
  } else if (too_large_) {
    response_.failure = {Kind::too_large, cat("answer is larger than ", request_.limit, " bytes")};
  } else if (header_bytes_ > kMostHeaders) {
    response_.failure = {Kind::too_large, cat("headers are larger than ", kMostHeaders, " bytes")};
  } else if (code != CURLE_OK && discarded_ < kMostDropped) {
    response_.failure = failure_of(code, error_text_[0] != '\0' ? error_text_ : curl_.easy_strerror(code));
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
  const std::size_t bytes = line.size();
  line = trim(line);
  if (line.starts_with("HTTP/")) {  // also after an interim answer
    const std::size_t blank = line.find(' ');
    response_.headers.clear();
    response_.status = 0;
    if (blank != std::string_view::npos) {
      response_.status = static_cast<int>(parse_int(line.substr(blank + 1, 3)).value_or(0));
    }
  }
  if (response_.status >= 200) pace_.received(bytes);
  if (line.starts_with("HTTP/")) return;
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
  pace_.received(data.size());
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

int Transfer::on_connected(void* self, char*, char*, int, int) {
  static_cast<Transfer*>(self)->pace_.connected();
  return CURL_PREREQFUNC_OK;
}

int Transfer::on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) {
  static_cast<Transfer*>(self)->pace_.sent(static_cast<std::uint64_t>(std::max<curl_off_t>(sent, 0)));
  return 0;
}

std::size_t Transfer::give_body(std::span<std::byte> buffer) {
  const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), request_.body_size - sent_);
  ssize_t got = 0;
  do {
    got = ::pread(request_.body_fd, buffer.data(), wanted, static_cast<off_t>(request_.body_offset + sent_));
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

}  // namespace cbuild::http
