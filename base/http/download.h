// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/blob_writer.h"
#include "base/cancel.h"
#include "base/http/limits.h"
#include "base/http/url.h"

namespace cbuild::http {

struct DownloaderOptions {
  unsigned max_attempts = 5;
  std::chrono::milliseconds retry_delay{1000};  ///< before the second attempt; grows, with jitter
  TransferLimits limits;                        ///< a slower transfer is broken off and tried again
  std::uint64_t max_bytes = 64ull << 30;        ///< of one file
  const CancelSource* cancel = nullptr;
  std::function<void(const std::string&)> warn;  ///< retries; one line each
};

/// A file to fetch. With validators (RFC 9110, 13.1) its content comes only if it differs from the known ones.
struct DownloadRequest {
  Url url;
  std::string authorization;       ///< value of the Authorization header, for the URL's own origin only; may be empty
  std::vector<std::string> etags;  ///< entity tags of the known contents, as they came
  std::string modified;            ///< Last-Modified of a known content without entity tag; used when `etags` is empty
  bool content_is_known = false;   ///< the caller checks a digest: a redirect from https to plain http is followed
};

struct DownloadResult {
  bool unchanged = false;     ///< one of the known contents is still the current one
  std::string etag;           ///< of the current content ("" if the server gives none)
  std::string last_modified;  ///< header as it came
  std::optional<std::int64_t> last_modified_s;
  bool modified_is_strong = false;  ///< the content was at rest for so long that Last-Modified names it
  Digest content;                   ///< unless unchanged
  std::uint64_t size = 0;
};

/// GET of files by URL over libcurl, which is opened on first use: redirects are followed, but never with
/// credentials to another origin, never to another scheme than http(s) and never from outside to an address
/// of this machine; broken transfers are continued where a strong entity tag says that it is the same file,
/// else begun again. Thread-safe.
class Downloader {
 public:
  explicit Downloader(DownloaderOptions options);
  ~Downloader();
  Downloader(const Downloader&) = delete;
  Downloader& operator=(const Downloader&) = delete;

  using MakeWriter = std::function<std::unique_ptr<BlobWriter>()>;
  using Transferred = std::function<void(std::uint64_t bytes, std::uint64_t total)>;  ///< total 0: unknown

  /// The content goes into a writer and is committed. Throws Error{not_found} for 404 and 410, {denied} for 401 and
  /// 403, {network} else, {input} for a file over the limit; the message names the URL without query values, the status
  /// and the server's message.
  DownloadResult get(const DownloadRequest& request, const MakeWriter& make, const Transferred& progress = nullptr);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

/// Where a Location header leads. Throws Error{network} for a place that must not be followed: another scheme, plain
/// http from https unless `plain_allowed`, an address inside this machine unless `first_host` is one.
Url follow_location(const Url& from, std::string_view location, std::string_view first_host, bool plain_allowed,
                    std::string_view doing);

}  // namespace cbuild::http
