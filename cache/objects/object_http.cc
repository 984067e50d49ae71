// SPDX-License-Identifier: Apache-2.0
#include "cache/objects/object_http.h"

#include <algorithm>

#include "base/error.h"
#include "base/http/failure.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/objects/xml_text.h"

namespace cbuild::cache {
namespace {

/// "NoSuchBucket: The specified bucket does not exist" of an error document; empty for others.
std::string xml_reason(const http::Response& response) {
  try {
    const std::string code = xml_text(response.body, "Code").value_or("");
    const std::string message = xml_text(response.body, "Message").value_or("");
    return cat(code, code.empty() || message.empty() ? "" : ": ",
               std::string_view(message).substr(0, message.find('\n')));
  } catch (const Error&) {
    return {};
  }
}

ErrorCode code_of_answer(const http::Response& response) {
  if (response.failure) return ErrorCode::network;
  if (response.status == 404) return ErrorCode::not_found;
  return response.status == 401 || response.status == 403 || response.status == 400 ? ErrorCode::denied
                                                                                    : ErrorCode::network;
}

http::DownloaderOptions downloader_options(const ObjectOptions& options) {
  http::DownloaderOptions out;
  out.max_attempts = options.max_attempts;
  out.retry_delay = options.retry_delay;
  out.limits = options.limits;
  out.cancel = options.cancel;
  out.warn = options.warn;
  return out;
}

}  // namespace

ObjectHttp::ObjectHttp(std::string shown, const ObjectOptions& options)
    : shown_(std::move(shown)),
      options_(options),
      pool_({std::max(1u, options.parallel), options.cancel}),
      retry_({std::max(1u, options.max_attempts), options.retry_delay, options.cancel, options.warn, nullptr}),
      downloader_(downloader_options(options)) {}

std::int64_t ObjectHttp::now_s() const { return options_.now_s ? options_.now_s() : sys::now_ns() / 1'000'000'000; }

http::Response ObjectHttp::exchange(const std::string& doing, const MakeRequest& make,
                                    std::initializer_list<int> expected) {
  for (unsigned attempt = 1;; ++attempt) {
    http::Request request = make();
    request.limits = options_.limits;
    const std::string origin = request.url.origin();
    retry_.wait_turn(origin);
    http::Response response = pool_.perform(request);
    const bool wanted = std::find(expected.begin(), expected.end(), response.status) != expected.end();
    if (response.ok() || (!response.failure && wanted)) return response;
    const std::string why =
        cat(shown_, ": ", doing, ": ", http::explain_response(response, secrets_, xml_reason(response)));
    if (!retry_.again(response, origin, attempt, why)) fail(doing, response);
  }
}

void ObjectHttp::download(const http::Url& url, const std::function<std::unique_ptr<BlobWriter>()>& make,
                          const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  http::DownloadRequest request;
  request.url = url;
  request.content_is_known = true;
  downloader_.get(request, make, progress);
}

void ObjectHttp::fail(const std::string& doing, const http::Response& response) {
  Error error(code_of_answer(response),
              cat(shown_, ": ", doing, ": ", http::explain_response(response, secrets_, xml_reason(response))));
  if (response.failure && (response.failure->kind == http::TransportFailure::Kind::stalled ||
                           response.failure->kind == http::TransportFailure::Kind::slow))
    error.with_hint(std::string(http::kLimitsHint));
  throw error;
}

void ObjectHttp::warn_once(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (!warned_ && options_.warn) options_.warn(secrets_.redact(cat(shown_, ": ", text)));
  warned_ = true;
}

void read_listing(std::string_view page, const ListingNames& names, std::vector<ObjectStore::Listed>& out) {
  std::vector<ObjectStore::Listed> found;
  for (auto& [path, text] : xml_texts(page)) {
    if (path.ends_with(names.name)) found.push_back({std::move(text), 0, -1});
    if (found.empty()) continue;
    if (path.ends_with(names.size)) found.back().size = static_cast<std::uint64_t>(parse_int(text).value_or(0));
    if (path.ends_with(names.time)) found.back().modified_s = names.parse_time(text).value_or(-1);
  }
  std::erase_if(found, [](const ObjectStore::Listed& object) { return object.modified_s < 0; });
  out.insert(out.end(), found.begin(), found.end());
}

ObjectStore::Status status_of(const http::Response& response) {
  const auto size = parse_int(response.header("content-length"));
  return {static_cast<std::uint64_t>(std::max<std::int64_t>(size.value_or(0), 0)),
          http::parse_http_date(response.header("last-modified"))};
}

}  // namespace cbuild::cache
