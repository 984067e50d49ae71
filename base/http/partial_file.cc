// SPDX-License-Identifier: Apache-2.0
// The part of a download that is kept: answers are held against what came before, so that a transfer goes on where it
// broke off only if it is still the same file, and begins again else. Sizes are checked before a byte is written.
#include "base/http/partial_file.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/http/retry.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::http {

namespace {

constexpr std::int64_t kRestSeconds = 2;  // a file may change twice in the second that Last-Modified names

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

/// Entity tags compare weakly here (RFC 9110, 8.8.3.2).
std::string_view opaque(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  return etag;
}

bool is_strong(std::string_view etag) { return etag.starts_with('"'); }

bool is_known(const std::vector<std::string>& etags, std::string_view etag) {
  return !etag.empty() && std::any_of(etags.begin(), etags.end(),
                                      [&](const std::string& known) { return opaque(known) == opaque(etag); });
}

}  // namespace

TransportFailure rest_of_another_file() {
  return {TransportFailure::Kind::broken, "the rest of the file does not match its first part"};
}

HeaderList PartialFile::headers_for(const Url& url) const {
  HeaderList headers;
  if (!request_.authorization.empty() && url.origin() == request_.url.origin())
    headers.emplace_back("Authorization", request_.authorization);
  if (received_ > 0) {
    headers.emplace_back("Range", cat("bytes=", received_, '-'));
    headers.emplace_back("If-Range", result_.etag);
  } else if (!request_.etags.empty()) {
    headers.emplace_back("If-None-Match", join(request_.etags, ", "));
  } else if (!request_.modified.empty()) {
    headers.emplace_back("If-Modified-Since", request_.modified);
  }
  return headers;
}

void PartialFile::take(const Response& head, std::span<const std::byte> data) {
  if (!begun_) begin(head);
  check_size(received_ + data.size());
  writer_->write(data);
  received_ += data.size();
  if (options_.progress) options_.progress(received_, total_);
}

/// The first bytes of an answer.
void PartialFile::begin(const Response& head) {
  begun_ = true;
  if (head.status == 206 && received_ > 0) {
    if (head.header("content-range").starts_with(cat("bytes ", received_, "-"))) return;
    restart();
    throw BodyNotWanted{};
  }
  restart();
  read_validators(head);
  if (is_known(request_.etags, result_.etag)) {
    unchanged_ = true;
    throw BodyNotWanted{};
  }
  const bool encoded = is_content_coding(head.header("content-encoding"));
  if (encoded && !std::exchange(decode_, true)) throw BodyIsEncoded{};
  const auto length = encoded ? std::nullopt : parse_int(head.header("content-length"));
  total_ = length && *length > 0 ? static_cast<std::uint64_t>(*length) : 0;
  check_size(total_);
  writer_ = options_.make();
}

Response PartialFile::end_answer(Response response) {
  if (response.failure) {
    if (received_ > 0 && (decode_ || !is_strong(result_.etag))) restart();
    return response;
  }
  if (response.status == 304 || (response.ok() && !begun_)) read_validators(response);
  if (response.status == 304 && (!request_.etags.empty() || !request_.modified.empty())) unchanged_ = true;
  if (response.status == 416 && received_ > 0) {
    restart();
    response.failure = {TransportFailure::Kind::broken, "the rest of a file is not available"};
  }
  if (response.ok() && !begun_) end_empty(response);
  return response;
}

/// An answer without a byte: nothing of it is left unread, and there is nothing to decode.
void PartialFile::end_empty(Response& response) {
  const bool decode = std::exchange(decode_, true);
  try {
    begin(response);
  } catch (const BodyNotWanted&) {
    if (!unchanged_) response.failure = rest_of_another_file();
  }
  decode_ = decode;
}

void PartialFile::read_validators(const Response& head) {
  result_.etag = head.header("etag");
  result_.last_modified = head.header("last-modified");
  result_.last_modified_s = parse_http_date(result_.last_modified);
  const std::int64_t now = parse_http_date(head.header("date")).value_or(sys::now_ns() / 1'000'000'000);
  result_.modified_is_strong = result_.last_modified_s && now - *result_.last_modified_s >= kRestSeconds;
}

void PartialFile::check_size(std::uint64_t bytes) const {
  if (bytes <= options_.max_bytes) return;
  throw Error(ErrorCode::input, cat(options_.doing, ": the file is larger than ", format_size(options_.max_bytes)));
}

void PartialFile::restart() {
  writer_.reset();
  received_ = total_ = 0;
}

DownloadResult PartialFile::finish() {
  result_.unchanged = unchanged_;
  if (unchanged_) return result_;
  if (!writer_) writer_ = options_.make();
  result_.size = received_;
  result_.content = writer_->commit();
  return result_;
}

}  // namespace cbuild::http
