// SPDX-License-Identifier: Apache-2.0
// A file by URL: when it is asked for, when it is sent, and when it counts as changed. The server knows entity tags.
#include "solver/sources/url_source.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/http/fake_server.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::solver::ops {
namespace {

using http::FakeRequest;
using http::FakeResponse;
using http::FakeServer;

/// One file on a server that knows entity tags, and a store.
struct Fixture {
  TempDir dir = TempDir::in_tmp("url-source");
  std::unique_ptr<cache::Store> store =
      std::make_unique<cache::Store>(cache::StoreOptions{dir.path() + "/store", false});
  std::map<std::string, std::string> secrets;
  std::string body = "one", etag = "\"1\"", modified = "Sun, 06 Nov 1994 08:49:37 GMT";
  int bodies = 0;  ///< how often the content was sent
  http::FakeServer server{[this](const http::FakeRequest& r) -> http::FakeResponse {
    http::FakeResponse out;
    if (!etag.empty()) out.headers.emplace_back("ETag", etag);
    if (!modified.empty()) out.headers.emplace_back("Last-Modified", modified);
    const bool same = etag.empty() ? r.header("if-modified-since") == modified && !modified.empty()
                                   : r.header("if-none-match").find(etag) != std::string::npos;
    out.status = same ? 304 : 200;
    if (same) return out;
    ++bodies;
    out.body = body;
    return out;
  }};
  const std::string url = server.url("/f");

  SourceAccess access() {
    return {*store,
            nullptr,
            nullptr,
            nullptr,
            [this](const std::string& id) -> std::optional<std::string> {
              const auto found = secrets.find(id);
              return found == secrets.end() ? std::nullopt : std::optional(found->second);
            },
            {}};
  }
  /// As a build of its own would ask.
  UrlContent pin(const Digest& expected = {}) { return UrlSources(access()).pin(url, expected); }
};

TEST_CASE_FIXTURE(Fixture, "an unchanged file is asked about and not moved") {
  CHECK(pin() == UrlContent{sha256("one"), 784111777});
  CHECK(pin() == UrlContent{sha256("one"), 784111777});
  CHECK(server.log().size() == 2);
  CHECK(bodies == 1);
}

TEST_CASE_FIXTURE(Fixture, "a changed file comes, and its old content is known when it comes back") {
  pin();
  body = "two";
  etag = "\"2\"";
  CHECK(pin().content == sha256("two"));
  body = "one";
  etag = "\"1\"";
  CHECK(pin().content == sha256("one"));
  CHECK(bodies == 2);
}

TEST_CASE_FIXTURE(Fixture, "without a tag the time decides") {
  etag.clear();
  pin();
  CHECK(pin().content == sha256("one"));
  CHECK(bodies == 1);
  modified = "Sun, 06 Nov 1994 08:49:38 GMT";
  body = "two";
  CHECK(pin().content == sha256("two"));
}

TEST_CASE_FIXTURE(Fixture, "without tag and time it always comes") {
  etag.clear();
  modified.clear();
  pin();
  body = "two";
  CHECK(pin() == UrlContent{sha256("two"), std::nullopt});
  CHECK(bodies == 2);
}

TEST_CASE_FIXTURE(Fixture, "one build asks once") {
  UrlSources sources(access());
  sources.pin(url, {});
  sources.pin(url, {});
  CHECK(server.log().size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a content that the URL is known to have given needs no request") {
  CHECK(pin(sha256("one")).content == sha256("one"));
  CHECK(server.log().size() == 1);
  CHECK(pin(sha256("one")) == UrlContent{sha256("one"), 784111777});
  CHECK(server.log().size() == 1);
  CHECK(pin(sha256("other")).content == sha256("one"));
  CHECK(server.log().size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "a content that gc took comes again, and only that one") {
  const Digest one = pin().content;
  store->forget_blob(one);
  UrlSources sources(access());
  sources.fetch(url, one);
  CHECK(store->blobs().size(one) == 3);
  CHECK(bodies == 2);
  store->forget_blob(one);
  body = "two";
  etag = "\"2\"";
  CHECK_THROWS_AS(sources.fetch(url, one), Error);
}

TEST_CASE_FIXTURE(Fixture, "secrets by host") {
  pin();
  CHECK(server.log().back().header("authorization") == "");
  secrets["HTTP_AUTH_TOKEN_127.0.0.1"] = "abc\n";
  secrets["HTTP_AUTH_TOKEN_example.com"] = "other";
  pin();
  CHECK(server.log().back().header("authorization") == "Bearer abc");
  secrets["HTTP_AUTH_HEADER_127.0.0.1"] = "Basic xyz";
  pin();
  CHECK(server.log().back().header("authorization") == "Basic xyz");
}

TEST_CASE_FIXTURE(Fixture, "an account in the URL") {
  UrlSources(access()).pin(cat("http://me:pw@", server.authority(), "/f"), {});
  CHECK(server.log().back().header("authorization") == "Basic bWU6cHc=");
}

TEST_CASE_FIXTURE(Fixture, "a file by URL belongs to root, 0600, with its time") {
  const Digest content = pin().content;
  const cache::Staging staging = store->stage("test");
  make_url_tree(*store, {url, "name", content, 1234, false}, staging, nullptr);
  const struct stat st = sys::stat_at(staging.tree_fd(), "name");
  CHECK((st.st_mode & 07777) == 0600);
  CHECK(st.st_mtim.tv_sec == 1234);
  CHECK(sys::read_file_at(staging.tree_fd(), "name", 100) == "one");
  for (const char* name : {"", "..", "a/b"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(make_url_tree(*store, {url, name, content, 0, false}, staging, nullptr), Error);
  }
}

TEST_CASE_FIXTURE(Fixture, "a file that is not an archive has no newest file") {
  const Digest content = pin().content;
  UrlSources sources(access());
  CHECK_FALSE(sources.newest_file(url, content).has_value());
  store->forget_blob(content);
  CHECK_FALSE(sources.newest_file(url, content).has_value());
  CHECK(bodies == 1);
}

}  // namespace
}  // namespace cbuild::solver::ops
