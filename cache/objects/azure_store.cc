// SPDX-License-Identifier: Apache-2.0
// Azure's blob storage over base/http. Requests carry the account's signature, or that of a shared access signature in
// their query. Reads go through URLs that are signed themselves, so that the downloader of base/http can resume them.
// Blocks that were sent for a blob that was never completed are removed by the service after a week.
#include "cache/objects/azure_store.h"

#include <mutex>

#include "base/error.h"
#include "base/http/retry.h"
#include "base/text.h"
#include "cache/objects/aws_signature.h"
#include "cache/objects/azure_upload.h"
#include "cache/objects/object_http.h"
#include "cache/objects/xml_text.h"

namespace cbuild::cache {
namespace {

constexpr std::int64_t kAzureLinkLife_s = 6 * 3600;
constexpr unsigned kAzureListed = 200, kAzureMostPages = 5000;  ///< of one answer, which may have 1 MiB

struct AzureCall {
  const char* method;
  std::string name;  ///< empty: the container itself
  std::string query = {};
  http::HeaderList headers = {};
  std::string body = {};
  std::size_t limit = 1u << 20;  ///< of the answer
  int file = -1;                 ///< in place of `body`
  std::uint64_t offset = 0, size = 0;
};

class AzureStore final : public ObjectStore {
 public:
  AzureStore(AzurePlace place, const ObjectOptions& options)
      : place_(std::move(place)), http_("azblob " + place_.container, options) {
    if (place_.account) http_.secrets().add(base64_encode(place_.account->key));
    for (const std::string& member : split(place_.account_url.query, '&'))
      if (member.starts_with("sig=") || member.starts_with("?sig="))
        http_.secrets().add(member.substr(member.find('=') + 1));
  }

  std::optional<Object> get(const std::string& name, std::size_t limit) override {
    const http::Response response = send("read " + name, {.method = "GET", .name = name, .limit = limit}, {404});
    if (response.ok()) return Object{response.body, std::string(response.header("etag"))};
    return std::nullopt;
  }

  std::optional<Status> status(const std::string& name) override {
    const http::Response response = send("look at " + name, {.method = "HEAD", .name = name}, {404});
    return response.ok() ? std::optional(status_of(response)) : std::nullopt;
  }

  void fetch(const std::string& name, const std::function<std::unique_ptr<BlobWriter>()>& make,
             const std::function<void(std::uint64_t, std::uint64_t)>& progress) override {
    http::Url url = url_of(name, {});
    if (place_.account)
      url = presign_azure(url, *place_.account, place_.container, name, http_.now_s() + kAzureLinkLife_s);
    http_.download(url, make, progress);
  }

  void put(const std::string& name, const Content& content) override {
    make_container();
    put_azure_blob(content, place_.part_bytes, http_.options().parallel, [&](const AzurePut& part) {
      send("write " + name, {.method = "PUT",
                             .name = name,
                             .query = part.query,
                             .headers = part.headers,
                             .body = part.body,
                             .file = part.file,
                             .offset = part.offset,
                             .size = part.size});
    });
  }

  bool put_if(const std::string& name, const std::string& content, const std::string& version) override {
    make_container();
    AzureCall call{.method = "PUT", .name = name, .headers = {{"x-ms-blob-type", "BlockBlob"}}, .body = content};
    call.headers.emplace_back(version.empty() ? "If-None-Match" : "If-Match", version.empty() ? "*" : version);
    return send("write " + name, call, {409, 412}).ok();
  }

  std::optional<std::vector<Listed>> list(const std::string& prefix) override {
    const std::string query =
        cat("restype=container&comp=list&maxresults=", kAzureListed, "&prefix=", aws_query_value(prefix));
    std::vector<Listed> out;
    std::string next;
    for (unsigned page = 0; page < kAzureMostPages; ++page) {
      const std::string more = next.empty() ? "" : cat("&marker=", aws_query_value(next));
      const http::Response response = send("list blobs", {.method = "GET", .name = {}, .query = query + more});
      read_listing(response.body,
                   {"/Blob/Name", "/Properties/Content-Length", "/Properties/Last-Modified", http::parse_http_date},
                   out);
      next = xml_text(response.body, "NextMarker").value_or("");
      if (next.empty()) return out;
    }
    throw Error(ErrorCode::unsupported, "there are too many blobs to list");
  }

  void remove_unchanged(const Listed& object) override {
    send("remove " + object.name,
         {.method = "DELETE", .name = object.name, .headers = {{"If-Unmodified-Since", azure_date(object.modified_s)}}},
         {404, 412});
  }

  void touch(const std::string& name, std::uint64_t) override {
    send("renew " + name, {.method = "PUT",
                           .name = name,
                           .query = "comp=metadata",
                           .headers = {{"x-ms-meta-renewed", std::to_string(http_.now_s())}}});
  }

 private:
  http::Url url_of(const std::string& name, const std::string& query) const {
    http::Url url = place_.account_url;
    if (!url.path.ends_with('/')) url.path += '/';
    url.path += aws_path(place_.container);
    if (!name.empty()) url.path += "/" + aws_path(name);
    if (!query.empty()) url.query += (url.query.empty() ? "?" : "&") + query;
    return url;
  }

  http::Response send(const std::string& doing, const AzureCall& call, std::initializer_list<int> expected = {}) {
    return http_.exchange(
        doing,
        [&] {
          http::Request request;
          request.method = call.method;
          request.url = url_of(call.name, call.query);
          request.headers = call.headers;
          request.body = call.body;
          request.body_fd = call.file;
          request.body_offset = call.offset;
          request.body_size = call.size;
          request.limit = call.limit;
          const std::uint64_t size = call.file >= 0 ? call.size : call.body.size();
          if (place_.account) sign_azure(request, size, *place_.account, http_.now_s());
          if (!place_.account) request.headers.emplace_back("x-ms-version", "2020-12-06");
          return request;
        },
        expected);
  }

  /// Once; who may not, finds out whether it is there with the next request.
  void make_container() {
    std::call_once(made_, [this] {
      send("make the container", {.method = "PUT", .name = {}, .query = "restype=container"}, {403, 409});
    });
  }

  const AzurePlace place_;
  ObjectHttp http_;
  std::once_flag made_;
};

}  // namespace

std::unique_ptr<ObjectStore> open_azure(AzurePlace place, const ObjectOptions& options) {
  return std::make_unique<AzureStore>(std::move(place), options);
}

}  // namespace cbuild::cache
