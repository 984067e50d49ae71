// SPDX-License-Identifier: Apache-2.0
// A request as options of libcurl's easy handle. What libcurl would take from the machine by itself (.netrc, its own
// list of certificates, a proxy for loopback) is set here as Go's programs have it, because users know the registry
// clients written in Go.
#include "base/http/easy_options.h"
#include "base/process/environment.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "base/files.h"
#include "base/plain_file.h"
#include "base/sys.h"

namespace cbuild::http {

namespace {

constexpr long kBufferSize = 256L << 10, kUploadBufferSize = 64L << 10;
constexpr int kMostUnsent = 64 << 10;  // in the kernel: so that it is seen how fast an upload moves

/// The file with the certificates the system trusts; empty if there is none. A libcurl that is linked in knows none,
/// because each distribution has another one.
std::string system_bundle_file(const CurlLibrary& curl) {
  if (std::string wanted = environment_value("SSL_CERT_FILE"); !wanted.empty()) return wanted;
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

EasyOptions::EasyOptions(const CurlLibrary& curl, CURL* easy) : curl_(curl), easy_(easy) { curl_.easy_reset(easy_); }

EasyOptions::~EasyOptions() {
  curl_.easy_reset(easy_);
  curl_.slist_free_all(headers_);
}

void EasyOptions::apply(const Request& request, CURLSH* share) {
  set(CURLOPT_URL, request.url.str().c_str());
  set(CURLOPT_ERRORBUFFER, error_text_);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_SHARE, share);
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.limits.connect.count()));
  // A handle that was used before keeps its buffers and refuses new sizes; they are the same ones.
  (void)curl_.easy_setopt(easy_, CURLOPT_BUFFERSIZE, kBufferSize);
  (void)curl_.easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, kUploadBufferSize);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  if (request.decode) set(CURLOPT_ACCEPT_ENCODING, "identity");  // an encoded body is decoded all the same
  set_method(request);
  if (!request.unix_socket.empty()) set(CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
  set_headers(request.headers);
  set_tls(request);
  set_proxy(request.url);
}

void EasyOptions::set_method(const Request& request) {
  if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (request.body_fd >= 0) {
    set(CURLOPT_UPLOAD, 1L);
    const auto size = static_cast<curl_off_t>(request.body_size);
    set(CURLOPT_INFILESIZE_LARGE, request.body_is_stream ? curl_off_t{-1} : size);
    set(CURLOPT_SOCKOPTFUNCTION, &limit_unsent);
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS, request.body.c_str());
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method != "GET") {
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

void EasyOptions::set_headers(const HeaderList& headers) {
  const auto add = [&](const std::string& line) {
    curl_slist* longer = curl_.slist_append(headers_, line.c_str());
    CBUILD_CHECK(longer != nullptr);
    headers_ = longer;
  };
  bool has_type = false;
  for (const auto& [name, value] : headers) {
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

void EasyOptions::set_tls(const Request& request) {
  const TlsConfig& tls = request.tls;
  set(CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
  if (!tls.certificate.empty()) {
    set(CURLOPT_SSLCERT, tls.certificate.c_str());
    set(CURLOPT_SSLKEY, tls.key.c_str());
  }
  if (!tls.verify || request.url.scheme != "https") return;
  // The library does not look at these variables, only its command line tool does.
  if (const std::string dir = environment_value("SSL_CERT_DIR"); !dir.empty()) set(CURLOPT_CAPATH, dir.c_str());
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
void EasyOptions::set_proxy(const Url& url) {
  if (locality(url.host) == Locality::loopback) {
    set(CURLOPT_NOPROXY, "*");
    return;
  }
  const bool in_cgi = !environment_value("REQUEST_METHOD").empty();  // there HTTP_PROXY is a header of the client
  if (url.scheme != "http" || in_cgi || !environment_value("http_proxy").empty()) return;
  if (const std::string proxy = environment_value("HTTP_PROXY"); !proxy.empty()) set(CURLOPT_PROXY, proxy.c_str());
}

}  // namespace cbuild::http
