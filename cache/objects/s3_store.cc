// SPDX-License-Identifier: Apache-2.0
// S3 over base/http. Bodies are signed with their SHA-256: for a blob that is its digest, for a part it is computed
// before it is sent. Reads go through URLs that are signed themselves, so that the downloader of base/http can resume
// them. An upload in parts that fails is given up at the service, which would keep, and charge for, its parts.
#include "cache/objects/s3_store.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/http/retry.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/objects/aws_credentials.h"
#include "cache/objects/object_http.h"
#include "cache/objects/xml_text.h"

namespace cbuild::cache {
namespace {

constexpr std::int64_t kLinkLife_s = 6 * 3600;
constexpr std::uint64_t kMostParts = 10'000, kLargestCopy = 5ull << 30;
constexpr std::size_t kHashBuffer = 1u << 20;
constexpr unsigned kListed = 500, kMostListings = 2000;  ///< of one answer, which may have 1 MiB

bool is_address(const std::string& host) {
  return host.starts_with('[') || host.find_first_not_of("0123456789.") == std::string::npos || host == "localhost";
}

/// Where names of the bucket begin.
http::Url base_url(const S3Place& place) {
  const std::string domain = place.region.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  // A certificate for *.s3.... does not match a bucket with a dot.
  const bool in_path = place.endpoint ? place.path_style || is_address(place.endpoint->host)
                                      : place.bucket.find('.') != std::string::npos;
  http::Url url = place.endpoint.value_or(http::Url{"https", cat("s3.", place.region, ".", domain), {}, "/", {}});
  url.query.clear();
  if (!url.path.ends_with('/')) url.path += '/';
  if (in_path)
    url.path += aws_path(place.bucket) + "/";
  else
    url.host = cat(place.bucket, ".", url.host);
  return url;
}

/// An entity tag of a header, as conditions want it.
std::string version_of(const http::Response& response) { return std::string(response.header("etag")); }

/// Signed requests for the objects of one bucket.
class S3Requests {
 public:
  S3Requests(const S3Place& place, const ObjectOptions& options)
      : scope_{place.region, "s3"},
        base_(base_url(place)),
        http_("s3://" + place.bucket, options),
        credentials_(place.keys, place.region, options) {}

  ObjectHttp& http() { return http_; }

  struct Small {
    const char* method;
    std::string name;
    http::HeaderList headers = {};
    std::string body = {};
    std::size_t limit = 1u << 20;  ///< of the answer
    std::string query = {};
  };
  /// A request with a small body.
  http::Response send(const std::string& doing, const Small& wanted, std::initializer_list<int> expected = {}) {
    return http_.exchange(
        doing,
        [&] {
          http::Request request = begin(wanted.method, wanted.name, wanted.query);
          request.headers = wanted.headers;
          request.body = wanted.body;
          request.limit = wanted.limit;
          sign(request, sha256(wanted.body).hex());
          return request;
        },
        expected);
  }

  /// PUT of a part of a file, whose SHA-256 is `hash`.
  http::Response send_file(const std::string& name, const std::string& query, int file, std::uint64_t offset,
                           std::uint64_t size, const std::string& hash) {
    return http_.exchange("write " + name, [&] {
      http::Request request = begin("PUT", name, query);
      request.body_fd = file;
      request.body_offset = offset;
      request.body_size = size;
      sign(request, hash);
      return request;
    });
  }

  http::Url link(const std::string& name) {
    return presign_aws(begin("GET", name, {}).url, keys(), scope_, http_.now_s(), kLinkLife_s);
  }

  /// Long work is answered with 200 before it is done; its body says how it went.
  void check_late_error(const std::string& doing, http::Response response) {
    if (response.body.find("<Error") == std::string::npos) return;
    response.status = 500;
    http_.fail(doing, response);
  }

 private:
  AwsKeys keys() {
    AwsKeys out = credentials_.keys();
    http_.secrets().add(out.secret);
    http_.secrets().add(out.session_token);
    return out;
  }
  http::Request begin(const char* method, const std::string& name, const std::string& query) const {
    http::Request request;
    request.method = method;
    request.url = base_;
    request.url.path += aws_path(name);
    request.url.query = query;
    return request;
  }
  void sign(http::Request& request, const std::string& hash) { sign_aws(request, hash, keys(), scope_, http_.now_s()); }

  const AwsScope scope_;
  const http::Url base_;
  ObjectHttp http_;
  AwsCredentials credentials_;
};

/// One object in parts.
class PartsUpload {
 public:
  PartsUpload(S3Requests& requests, const std::string& name, const ObjectStore::Content& content, std::uint64_t part)
      : requests_(requests), name_(name), content_(content), part_(part) {}

  void run() {
    const std::string doing = "write " + name_;
    const http::Response begun = requests_.send(doing, {.method = "POST", .name = name_, .query = "?uploads="});
    upload_ = xml_text(begun.body, "UploadId").value_or("");
    if (upload_.empty()) throw Error(ErrorCode::network, doing + ": the answer has no UploadId");
    try {
      complete(doing, send_parts());
    } catch (...) {
      give_up();
      throw;
    }
  }

 private:
  std::vector<std::string> send_parts() {
    std::vector<std::string> tags((content_.size + part_ - 1) / part_);
    run_at_once(tags.size(), std::max(1u, requests_.http().options().parallel), [&](std::size_t i) {
      const std::uint64_t offset = i * part_, size = std::min(part_, content_.size - offset);
      const std::string query = cat("?partNumber=", i + 1, "&uploadId=", aws_query_value(upload_));
      tags[i] =
          version_of(requests_.send_file(name_, query, content_.file, offset, size, hash_part(content_, offset, size)));
    });
    return tags;
  }

  static std::string hash_part(const ObjectStore::Content& content, std::uint64_t offset, std::uint64_t size) {
    std::vector<std::byte> buffer(kHashBuffer);
    Sha256 hash;
    while (size > 0) {
      const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(size, buffer.size()));
      const std::size_t got = sys::pread_all(content.file, std::span(buffer).first(want), offset);
      if (got != want) throw Error(ErrorCode::corrupt, cat("blob ", content.digest.str(), " is shorter than recorded"));
      hash.update(std::span(buffer).first(got));
      offset += got;
      size -= got;
    }
    return hash.finish().hex();
  }

  void complete(const std::string& doing, const std::vector<std::string>& tags) {
    std::string body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    for (std::size_t i = 0; i < tags.size(); ++i)
      body += cat("<Part><PartNumber>", i + 1, "</PartNumber><ETag>", replace_all(tags[i], "\"", "&quot;"),
                  "</ETag></Part>");
    body += "</CompleteMultipartUpload>";
    requests_.check_late_error(
        doing, requests_.send(doing, {.method = "POST", .name = name_, .body = body, .query = upload_query()}));
  }

  void give_up() noexcept {
    try {
      requests_.send("give up " + name_, {.method = "DELETE", .name = name_, .query = upload_query()}, {404});
    } catch (...) {
      return;  // rules of the bucket remove it some day
    }
  }

  std::string upload_query() const { return cat("?uploadId=", aws_query_value(upload_)); }

  S3Requests& requests_;
  const std::string& name_;
  const ObjectStore::Content& content_;
  const std::uint64_t part_;
  std::string upload_;
};

class S3Store final : public ObjectStore {
 public:
  S3Store(S3Place place, const ObjectOptions& options) : place_(std::move(place)), requests_(place_, options) {}

  std::optional<Object> get(const std::string& name, std::size_t limit) override {
    const std::string doing = "read " + name;
    const http::Response response = requests_.send(doing, {.method = "GET", .name = name, .limit = limit}, {404});
    if (response.ok()) return Object{response.body, version_of(response)};
    if (response.body.find("NoSuchBucket") != std::string::npos) requests_.http().fail(doing, response);
    return std::nullopt;
  }

  std::optional<Status> status(const std::string& name) override {
    const http::Response response = requests_.send("look at " + name, {.method = "HEAD", .name = name}, {404});
    return response.ok() ? std::optional(status_of(response)) : std::nullopt;
  }

  void fetch(const std::string& name, const std::function<std::unique_ptr<BlobWriter>()>& make,
             const std::function<void(std::uint64_t, std::uint64_t)>& progress) override {
    requests_.http().download(requests_.link(name), make, progress);
  }

  void put(const std::string& name, const Content& content) override {
    const std::uint64_t part = std::max(place_.part_bytes, content.size / kMostParts + 1);
    if (content.size > part) return PartsUpload(requests_, name, content, part).run();
    requests_.send_file(name, {}, content.file, 0, content.size, content.digest.hex());
  }

  bool put_if(const std::string& name, const std::string& content, const std::string& version) override {
    S3Requests::Small wanted{.method = "PUT", .name = name, .body = content};
    wanted.headers.emplace_back(version.empty() ? "If-None-Match" : "If-Match", version.empty() ? "*" : version);
    const std::string doing = "write " + name;
    // 404: the object that was read is gone.
    const http::Response response = requests_.send(doing, wanted, {404, 409, 412, 501});
    if (response.ok()) return true;
    if (response.status == 404 && version.empty()) requests_.http().fail(doing, response);
    if (response.status != 501) return false;
    requests_.http().warn_once("the service has no conditional writes: of two exports at once the last one wins");
    wanted.headers.clear();
    requests_.send(doing, wanted);
    return true;
  }

  std::optional<std::vector<Listed>> list(const std::string& prefix) override {
    const std::string query = cat("?list-type=2&max-keys=", kListed, "&prefix=", aws_query_value(prefix));
    std::vector<Listed> out;
    std::string next;
    for (unsigned page = 0; page < kMostListings; ++page) {
      const std::string more = next.empty() ? "" : cat("&continuation-token=", aws_query_value(next));
      const http::Response response =
          requests_.send("list objects", {.method = "GET", .name = {}, .query = query + more});
      read_listing(response.body, {"/Contents/Key", "/Contents/Size", "/Contents/LastModified", parse_time_s}, out);
      next = xml_text(response.body, "NextContinuationToken").value_or("");
      if (next.empty()) return out;
    }
    throw Error(ErrorCode::unsupported, "there are too many objects to list");
  }

  // The service has no condition on the time. Between the question and the removal an export would have to renew an
  // object that was old a moment ago.
  void remove_unchanged(const Listed& object) override {
    const auto now = status(object.name);
    if (!now || !now->modified_s || *now->modified_s > object.modified_s) return;
    requests_.send("remove " + object.name, {.method = "DELETE", .name = object.name}, {404});
  }

  void touch(const std::string& name, std::uint64_t size) override {
    if (size > kLargestCopy) return;  // the service copies no more at once; such an object is written again one day
    S3Requests::Small wanted{.method = "PUT", .name = name};
    wanted.headers = {{"x-amz-copy-source", cat("/", aws_path(place_.bucket), "/", aws_path(name))},
                      {"x-amz-metadata-directive", "REPLACE"},
                      {"x-amz-meta-updated-at", format_rfc3339(requests_.http().now_s())}};
    requests_.check_late_error("renew " + name, requests_.send("renew " + name, wanted));
  }

 private:
  static std::optional<std::int64_t> parse_time_s(std::string_view text) {
    const auto time_ns = parse_rfc3339_ns(text);
    return time_ns ? std::optional(*time_ns / 1'000'000'000) : std::nullopt;
  }

  const S3Place place_;
  S3Requests requests_;
};

}  // namespace

std::unique_ptr<ObjectStore> open_s3(S3Place place, const ObjectOptions& options) {
  return std::make_unique<S3Store>(std::move(place), options);
}

}  // namespace cbuild::cache
