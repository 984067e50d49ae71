// SPDX-License-Identifier: Apache-2.0
// One file is a series of attempts that share a writer, each of them a chain of redirects. A conditional
// request is a GET, not a HEAD: servers that know no validators answer HEAD as well as they answer GET, and
// where the entity tag of the answer is a known one after all, the body is not read. No coding is asked for; where one
// comes all the same, the file is what lies under it (RFC 9110, 8.4), and the request is made again to have it decoded.
#include "base/http/download.h"

#include <algorithm>

#include "base/error.h"
#include "base/http/failure.h"
#include "base/http/http.h"
#include "base/http/retry.h"
#include "base/http/secrets.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::http {

namespace {

constexpr unsigned kMostDownloadRedirects = 10;
constexpr std::int64_t kRestSeconds = 2;  // a file may change twice in the second that Last-Modified names

/// Leaves the sink when the body need not come; what it says is in the transfer's state.
struct BodyNotWanted {};
/// Leaves the sink when the same answer is wanted again without its Content-Encoding.
struct BodyIsEncoded {};

/// Whether all of the codings are those that HTTP clients undo. Not "x-gzip", with which servers mark archives that are
/// meant to arrive as they are, nor names that HTTP does not have.
bool is_content_coding(std::string_view value) {
  if (trim(value).empty()) return false;
  for (const std::string& coding : split(value, ',')) {
    const std::string name = to_lower(trim(coding));
    if (name != "gzip" && name != "deflate" && name != "br" && name != "zstd" && name != "identity") return false;
  }
  return to_lower(trim(value)) != "identity";
}

bool is_redirect(const Response& response) {
  if (response.failure) return false;
  const int status = response.status;
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// Entity tags compare weakly here (RFC 9110, 8.8.3.2).
std::string_view opaque(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  return etag;
}

bool is_strong(std::string_view etag) { return etag.starts_with('"'); }

ErrorCode download_code(const Response& response) {
  if (response.failure) return ErrorCode::network;
  if (response.status == 404 || response.status == 410) return ErrorCode::not_found;
  return response.status == 401 || response.status == 403 ? ErrorCode::denied : ErrorCode::network;
}

std::string hint_for(const Response& response, const Url& url) {
  using Kind = TransportFailure::Kind;
  if (response.failure) {
    switch (response.failure->kind) {
      case Kind::certificate:
      case Kind::no_authorities:
        return "the server's certificate is not trusted; SSL_CERT_FILE names more authorities";
      case Kind::stalled:
      case Kind::slow:
        return kLimitsHint;
      case Kind::resolve:
        return "is the name right, and is there a network?";
      default:
        return "";
    }
  }
  if (response.status == 401 || response.status == 403) {
    const std::string host = url.host;
    return cat("give a token: --secret id=HTTP_AUTH_TOKEN_", host, ",env=TOKEN (or HTTP_AUTH_HEADER_", host,
               " for the whole header)");
  }
  return "";
}

}  // namespace

Url follow_location(const Url& from, std::string_view location, std::string_view first_host, bool plain_allowed,
                    std::string_view doing) {
  const std::optional<Url> next = resolve_url(from, location);
  const auto refuse = [&](std::string_view why) {
    throw Error(ErrorCode::network, cat(doing, ": ", from.host, " redirects to ", why));
  };
  if (!next) refuse("a URL that is not http or https");
  if (next->scheme == "http" && from.scheme == "https" && !plain_allowed) {
    refuse(cat("plain http at ", next->host, ", which nothing protects; --checksum would"));
  }
  const Locality where = locality(next->host);
  const bool inside = where == Locality::loopback || where == Locality::link_local;
  if (inside && where != locality(first_host)) refuse("an address inside this machine: " + next->host);
  return *next;
}

struct Downloader::Impl {
  explicit Impl(DownloaderOptions o)
      : options(std::move(o)),
        pool({4, options.cancel}),
        retry({std::max(1u, options.max_attempts), options.retry_delay, options.cancel, options.warn, nullptr}) {}

  const DownloaderOptions options;
  Pool pool;
  RetryPolicy retry;
  Secrets secrets;
};

namespace {

/// One file on its way.
class FileTransfer {
 public:
  FileTransfer(Downloader::Impl& impl, const DownloadRequest& request, const Downloader::MakeWriter& make,
               const Downloader::Transferred& progress)
      : impl_(impl), request_(request), make_(make), progress_(progress), doing_("GET " + request.url.redacted()) {}

  DownloadResult run() {
    for (unsigned attempt = 1;; ++attempt) {
      const Response response = attempt_once();
      if (finished(response)) return finish();
      const std::string why = cat(doing_, ": ", explain_response(response, impl_.secrets));
      if (!impl_.retry.again(response, request_.url.origin(), attempt, why)) fail(response);
    }
  }

 private:
  Response attempt_once() {
    Request request;
    request.url = request_.url;
    request.limits = impl_.options.limits;
    request.sink = [this](const Response& head, std::span<const std::byte> data) { take(head, data); };
    begun_ = false;
    for (unsigned hops = 0;; ++hops) {
      set_headers(request);
      request.decode = decode_;
      Response response;
      try {
        response = impl_.pool.perform(request);
      } catch (const BodyIsEncoded&) {
        decode_ = true;
        begun_ = false;
        continue;
      } catch (const BodyNotWanted&) {
        response.status = unchanged_ ? 304 : 0;
        if (!unchanged_)
          response.failure = {TransportFailure::Kind::broken, "the rest of the file does not match its first part"};
        return response;
      }
      const std::string_view location = response.header("location");
      if (!is_redirect(response) || location.empty()) return note_head(std::move(response));
      if (hops == kMostDownloadRedirects) throw Error(ErrorCode::network, doing_ + ": too many redirects");
      request.url = follow_location(request.url, location, request_.url.host, request_.content_is_known, doing_);
    }
  }

  void set_headers(Request& request) const {
    request.headers.clear();
    if (!request_.authorization.empty() && request.url.origin() == request_.url.origin()) {
      request.headers.emplace_back("Authorization", request_.authorization);
    }
    if (received_ > 0) {
      request.headers.emplace_back("Range", cat("bytes=", received_, '-'));
      request.headers.emplace_back("If-Range", result_.etag);
    } else if (!request_.etags.empty()) {
      request.headers.emplace_back("If-None-Match", join(request_.etags, ", "));
    } else if (!request_.modified.empty()) {
      request.headers.emplace_back("If-Modified-Since", request_.modified);
    }
  }

  Response note_head(Response response) {
    if (response.failure) {
      if (received_ > 0 && (decode_ || !is_strong(result_.etag))) restart();
      return response;
    }
    if (response.status == 304 || (response.ok() && !begun_)) read_validators(response);
    if (response.status == 416 && received_ > 0) {
      restart();
      response.failure = {TransportFailure::Kind::broken, "the rest of a file is not available"};
    }
    if (response.ok() && !begun_) begin(response);  // an empty file
    return response;
  }

  void read_validators(const Response& head) {
    result_.etag = head.header("etag");
    result_.last_modified = head.header("last-modified");
    result_.last_modified_s = parse_http_date(result_.last_modified);
    const std::int64_t now = parse_http_date(head.header("date")).value_or(sys::now_ns() / 1'000'000'000);
    result_.modified_is_strong = result_.last_modified_s && now - *result_.last_modified_s >= kRestSeconds;
  }

  bool is_known(std::string_view etag) const {
    return !etag.empty() && std::any_of(request_.etags.begin(), request_.etags.end(),
                                        [&](const std::string& known) { return opaque(known) == opaque(etag); });
  }

  /// The first bytes of an answer.
  void begin(const Response& head) {
    begun_ = true;
    if (head.status == 206 && received_ > 0) {
      if (!head.header("content-range").starts_with(cat("bytes ", received_, "-"))) {
        restart();
        throw BodyNotWanted{};
      }
      return;
    }
    restart();
    read_validators(head);
    if (is_known(result_.etag)) {
      unchanged_ = true;
      throw BodyNotWanted{};
    }
    const bool encoded = is_content_coding(head.header("content-encoding"));
    if (encoded && !decode_) throw BodyIsEncoded{};
    const auto length = encoded ? std::nullopt : parse_int(head.header("content-length"));
    total_ = length && *length > 0 ? static_cast<std::uint64_t>(*length) : 0;
    check_size(total_);
    writer_ = make_();
  }

  void take(const Response& head, std::span<const std::byte> data) {
    if (!begun_) begin(head);
    check_size(received_ + data.size());
    writer_->write(data);
    received_ += data.size();
    if (progress_) progress_(received_, total_);
  }

  void check_size(std::uint64_t bytes) const {
    if (bytes <= impl_.options.max_bytes) return;
    throw Error(ErrorCode::input, cat(doing_, ": the file is larger than ", format_size(impl_.options.max_bytes)));
  }

  void restart() {
    writer_.reset();
    received_ = total_ = 0;
  }

  bool finished(const Response& response) {
    if (response.failure) return false;
    if (response.status == 304 && (!request_.etags.empty() || !request_.modified.empty())) return unchanged_ = true;
    return response.ok();
  }

  DownloadResult finish() {
    result_.unchanged = unchanged_;
    if (unchanged_) return result_;
    if (!writer_) writer_ = make_();
    result_.size = received_;
    result_.content = writer_->commit();
    return result_;
  }

  [[noreturn]] void fail(const Response& response) const {
    throw Error(download_code(response), cat(doing_, ": ", explain_response(response, impl_.secrets)))
        .with_hint(hint_for(response, request_.url));
  }

  Downloader::Impl& impl_;
  const DownloadRequest& request_;
  const Downloader::MakeWriter& make_;
  const Downloader::Transferred& progress_;
  const std::string doing_;
  DownloadResult result_;
  std::unique_ptr<BlobWriter> writer_;
  std::uint64_t received_ = 0, total_ = 0;
  bool begun_ = false;  ///< the running answer has brought bytes
  bool unchanged_ = false;
  bool decode_ = false;  ///< the content comes with a Content-Encoding, which is undone; it cannot be continued
};

}  // namespace

Downloader::Downloader(DownloaderOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Downloader::~Downloader() = default;

DownloadResult Downloader::get(const DownloadRequest& request, const MakeWriter& make, const Transferred& progress) {
  const std::size_t blank = request.authorization.find(' ');
  if (!request.authorization.empty()) {
    impl_->secrets.add(request.authorization);
    if (blank != std::string::npos) impl_->secrets.add(std::string_view(request.authorization).substr(blank + 1));
  }
  return FileTransfer(*impl_, request, make, progress).run();
}

}  // namespace cbuild::http
