// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/digest.h"
#include "base/http/fake_server.h"
#include "base/text.h"
#include "base/url_parts.h"
#include "cache/objects/azure_signature.h"

/// For tests.
namespace cbuild::cache {

/// Keeps blobs and blocks; that requests are signed is looked at, not how.
struct FakeAzure {
  static constexpr std::int64_t kNow_s = 1767323045;  ///< 2026-01-02T03:04:05Z
  static constexpr char kKey[] =
      "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
  /// That of every emulator.
  static AzureAccount account() { return {"devstoreaccount1", *base64_decode(kKey)}; }

  std::int64_t now_s = kNow_s;
  std::map<std::string, std::string> blobs, blocks;
  std::map<std::string, std::int64_t> times;  ///< of blobs, if not kNow_s
  bool container = false;
  std::size_t page = 1000;  ///< blobs in a page of a listing
  http::FakeServer server{[this](const http::FakeRequest& request) { return answer(request); }};

  static http::FakeResponse error(int status, const char* code) {
    return {
        .status = status,
        .body = cat("\xef\xbb\xbf<?xml version=\"1.0\"?><Error><Code>", code, "</Code><Message>no</Message></Error>")};
  }
  static std::string tag(const std::string& content) { return cat('"', sha256(content).hex().substr(0, 16), '"'); }

  http::FakeResponse answer(const http::FakeRequest& r) {
    const bool is_signed =
        r.header("authorization").starts_with("SharedKey devstoreaccount1:") || !r.param("sig").empty();
    if (!is_signed) return error(403, "AuthenticationFailed");
    if (r.param("restype") == "container" && r.method == "PUT") {
      if (std::exchange(container, true)) return error(409, "ContainerAlreadyExists");
      return {.status = 201};
    }
    const auto found = blobs.find(r.path);
    if (r.method == "PUT") return put(r);
    if (!container) return error(404, "ContainerNotFound");
    if (r.param("comp") == "list") return list(r);
    if (found == blobs.end()) return error(404, "BlobNotFound");
    if (r.method == "DELETE") {
      if (r.header("if-unmodified-since") != azure_date(time_of(r.path))) return error(412, "ConditionNotMet");
      blobs.erase(found);
      return {.status = 202};
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
    std::string body = "\xef\xbb\xbf<?xml version=\"1.0\"?><EnumerationResults><Blobs>", last;
    for (const auto& [path, content] : blobs) {
      if (!path.starts_with(cat(r.path, "/", r.param("prefix"))) || path <= r.param("marker")) continue;
      if (count++ == page)
        return {.body = cat(body, "</Blobs><NextMarker>", last, "</NextMarker></EnumerationResults>")};
      body += cat("<Blob><Name>", percent_decode(path.substr(r.path.size() + 1)), "</Name><Properties><Last-Modified>",
                  azure_date(time_of(path)), "</Last-Modified><Content-Length>", content.size(),
                  "</Content-Length></Properties></Blob>");
      last = path;
    }
    return {.body = body + "</Blobs><NextMarker/></EnumerationResults>"};
  }
  http::FakeResponse put(const http::FakeRequest& r) {
    const auto found = blobs.find(r.path);
    const std::string comp = r.param("comp");
    if (comp == "block") {
      blocks[r.param("blockid")] = r.body;
      return {.status = 201};
    }
    if (comp == "metadata") {
      times[r.path] = now_s;
      return {.status = found == blobs.end() ? 404 : 200};
    }
    if (!r.header("if-none-match").empty() && found != blobs.end()) return error(409, "BlobAlreadyExists");
    if (const std::string match = r.header("if-match");
        !match.empty() && (found == blobs.end() || tag(found->second) != match))
      return error(412, "ConditionNotMet");
    std::string whole = r.body;
    if (comp == "blocklist") {
      whole.clear();
      for (const auto& [id, block] : blocks) whole += block;
    }
    blobs[r.path] = whole;
    times[r.path] = now_s;
    return {.status = 201, .headers = {{"ETag", tag(whole)}}};
  }
};

}  // namespace cbuild::cache
