// SPDX-License-Identifier: Apache-2.0
// One file is a series of attempts, each of them a chain of redirects; what they bring goes into a PartialFile, which
// says what the next one has to ask for. A conditional request is a GET, not a HEAD: servers that know no validators
// answer HEAD as well as they answer GET, and where the entity tag of the answer is a known one after all, the body is
// not read.
#include "base/http/download.h"

#include <algorithm>

#include "base/error.h"
#include "base/http/failure.h"
#include "base/http/http.h"
#include "base/http/partial_file.h"
#include "base/http/retry.h"
#include "base/http/secrets.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::http {

namespace {

constexpr unsigned kMostDownloadRedirects = 10;

bool is_redirect(const Response& response) {
  if (response.failure) return false;
  const int status = response.status;
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

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
      : impl_(impl),
        request_(request),
        doing_("GET " + request.url.redacted()),
        file_(request, {impl.options.max_bytes, doing_, make, progress}) {}

  DownloadResult run() {
    for (unsigned attempt = 1;; ++attempt) {
      const Response response = attempt_once();
      if (!response.failure && (file_.is_unchanged() || response.ok())) return file_.finish();
      const std::string why = cat(doing_, ": ", explain_response(response, impl_.secrets));
      if (!impl_.retry.again(response, request_.url.origin(), attempt, why)) fail(response);
    }
  }

 private:
  /// One answer for the whole file or its rest, redirects followed.
  Response attempt_once() {
    Request request;
    request.url = request_.url;
    request.limits = impl_.options.limits;
    request.sink = [this](const Response& head, std::span<const std::byte> data) { file_.take(head, data); };
    file_.begin_answer();
    for (unsigned hops = 0;; ++hops) {
      request.headers = file_.headers_for(request.url);
      request.decode = file_.wants_decoding();
      Response response;
      try {
        response = impl_.pool.perform(request);
      } catch (const BodyIsEncoded&) {
        file_.begin_answer();
        continue;
      } catch (const BodyNotWanted&) {
        response.status = file_.is_unchanged() ? 304 : 0;
        if (!file_.is_unchanged()) response.failure = rest_of_another_file();
        return response;
      }
      const std::string_view location = response.header("location");
      if (!is_redirect(response) || location.empty()) return file_.end_answer(std::move(response));
      if (hops == kMostDownloadRedirects) throw Error(ErrorCode::network, doing_ + ": too many redirects");
      request.url = follow_location(request.url, location, request_.url.host, request_.content_is_known, doing_);
    }
  }

  [[noreturn]] void fail(const Response& response) const {
    throw Error(download_code(response), cat(doing_, ": ", explain_response(response, impl_.secrets)))
        .with_hint(hint_for(response, request_.url));
  }

  Downloader::Impl& impl_;
  const DownloadRequest& request_;
  const std::string doing_;
  PartialFile file_;
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
