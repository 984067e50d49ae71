// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/http/fake_server.h"
#include "base/text.h"
#include "base/url_parts.h"
#include "cache/objects/aws_signature.h"
#include "cache/objects/azure_signature.h"

/// For tests.
namespace cbuild::cache {

/// A service of S3 with one account and any bucket. It compares each signature with its own computation of it.
struct FakeS3 {
  static constexpr std::int64_t kNow_s = 1767323045;  ///< 2026-01-02T03:04:05Z
  static AwsKeys account() { return {"test-id", "test-secret", {}, 0}; }

  std::int64_t now_s = kNow_s;                 ///< the only time that it takes
  std::map<std::string, std::string> objects;  ///< by path
  std::map<std::string, std::int64_t> times;   ///< of objects, if not kNow_s
  std::map<std::string, std::map<int, std::string>> uploads;
  std::function<std::optional<http::FakeResponse>(const http::FakeRequest&)> script;
  bool conditional = true;
  std::size_t page = 1000;  ///< objects in a page of a listing
  unsigned copies = 0;
  std::vector<std::string> violations;
  http::FakeServer server{[this](const http::FakeRequest& request) { return answer(request); }};

  static std::string tag(const std::string& content) { return cat('"', sha256(content).hex().substr(0, 32), '"'); }
  static http::FakeResponse error(int status, const char* code) {
    return {.status = status,
            .body = cat("<?xml version=\"1.0\"?><Error><Code>", code, "</Code><Message>no</Message></Error>")};
  }

  bool is_signed(const http::FakeRequest& r) {
    http::Request copy;
    copy.method = r.method;
    copy.url = *http::parse_url(server.url(r.target));
    if (!r.param("X-Amz-Signature").empty()) {
      copy.url.query = copy.url.query.substr(0, copy.url.query.find("X-Amz-Algorithm") - 1);
      return presign_aws(copy.url, account(), {"here", "s3"}, now_s, 21600).query.substr(1) ==
             r.target.substr(r.target.find('?') + 1);
    }
    const std::string header = r.header("authorization");
    const std::size_t names = header.find("SignedHeaders=") + 14;
    for (const std::string& name : split(header.substr(names, header.find(',', names) - names), ';'))
      if (name != "host" && name != "x-amz-date" && name != "x-amz-content-sha256")
        copy.headers.emplace_back(name, r.header(name));
    const std::string payload = sha256(r.body).hex();
    sign_aws(copy, payload, account(), {"here", "s3"}, now_s);
    return r.header("x-amz-content-sha256") == payload && copy.headers.back().second == header;
  }

  http::FakeResponse answer(const http::FakeRequest& r) {
    if (script)
      if (auto scripted = script(r)) return *scripted;
    if (!is_signed(r)) {
      violations.push_back(r.method + " " + r.target);
      return error(403, "SignatureDoesNotMatch");
    }
    if (!r.param("uploadId").empty() || r.target.find("?uploads") != std::string::npos) return in_parts(r);
    const auto found = objects.find(r.path);
    if (r.method == "PUT") return put(r);
    if (!r.param("list-type").empty()) return list(r);
    if (found == objects.end()) return error(404, "NoSuchKey");
    if (r.method == "DELETE") {
      objects.erase(found);
      return {.status = 204};
    }
    return {.headers = {{"ETag", tag(found->second)}, {"Last-Modified", azure_date(time_of(r.path))}},
            .body = found->second};
  }

  std::int64_t time_of(const std::string& path) const {
    const auto known = times.find(path);
    return known == times.end() ? kNow_s : known->second;
  }

  http::FakeResponse list(const http::FakeRequest& r) const {
    std::size_t count = 0;
    std::string body = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
                last;
    for (const auto& [path, content] : objects) {
      if (!path.starts_with(r.path + r.param("prefix")) || path <= r.param("continuation-token")) continue;
      if (count++ == page)
        return {.body = cat(body, "<NextContinuationToken>", last, "</NextContinuationToken></ListBucketResult>")};
      body += cat("<Contents><Key>", percent_decode(path.substr(r.path.size())), "</Key><LastModified>",
                  format_rfc3339(time_of(path)), "</LastModified><ETag>&quot;x&quot;</ETag><Size>", content.size(),
                  "</Size></Contents>");
      last = path;
    }
    return {.body = body + "</ListBucketResult>"};
  }

  http::FakeResponse put(const http::FakeRequest& r) {
    const auto found = objects.find(r.path);
    if (!r.header("x-amz-copy-source").empty()) {
      ++copies;
      times[r.path] = now_s;
      return {.body = "<CopyObjectResult><ETag>x</ETag></CopyObjectResult>"};
    }
    const std::string match = r.header("if-match"), none = r.header("if-none-match");
    if (!conditional && (!match.empty() || !none.empty())) return error(501, "NotImplemented");
    if (!none.empty() && found != objects.end()) return error(412, "PreconditionFailed");
    if (!match.empty() && found == objects.end()) return error(404, "NoSuchKey");
    if (!match.empty() && tag(found->second) != match) return error(412, "PreconditionFailed");
    objects[r.path] = r.body;
    times[r.path] = now_s;
    return {.headers = {{"ETag", tag(r.body)}}};
  }

  http::FakeResponse in_parts(const http::FakeRequest& r) {
    if (r.method == "POST" && r.target.find("?uploads") != std::string::npos) {
      uploads["id/1"] = {};
      return {
          .body =
              "<InitiateMultipartUploadResult xmlns=\"x\"><UploadId>id/1</UploadId></InitiateMultipartUploadResult>"};
    }
    if (r.method == "DELETE") {
      uploads.erase(r.param("uploadId"));
      return {.status = 204};
    }
    auto& parts = uploads.at(r.param("uploadId"));
    if (r.method == "PUT") {
      parts[static_cast<int>(parse_int(r.param("partNumber")).value())] = r.body;
      return {.headers = {{"ETag", tag(r.body)}}};
    }
    std::string whole;
    for (const auto& [number, part] : parts) {
      whole += part;
      if (r.body.find(replace_all(tag(part), "\"", "&quot;")) == std::string::npos) return error(400, "InvalidPart");
    }
    objects[r.path] = whole;
    times[r.path] = now_s;
    uploads.erase(r.param("uploadId"));
    return {.body = "<CompleteMultipartUploadResult/>"};
  }
};

}  // namespace cbuild::cache
