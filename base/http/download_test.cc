// SPDX-License-Identifier: Apache-2.0
// Downloads from a server that breaks, changes files and redirects: the result is the whole file or an error, never a
// part.
#include "base/http/download.h"

#include <doctest/doctest.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/http/fake_server.h"
#include "base/text.h"

namespace cbuild::http {
namespace {

/// Blobs in memory, visible once they are committed.
class MemoryBlobs {
 public:
  std::unique_ptr<BlobWriter> create() { return std::make_unique<Writer>(blobs_); }
  bool has(const Digest& digest) const { return blobs_.contains(digest); }
  const std::string& at(const Digest& digest) const { return blobs_.at(digest); }

 private:
  struct Writer final : BlobWriter {
    explicit Writer(std::map<Digest, std::string>& to) : blobs(to) {}
    void write(std::span<const std::byte> data) override {
      text.append(reinterpret_cast<const char*>(data.data()), data.size());
    }
    Digest commit(const Digest&, std::optional<std::uint64_t>) override {
      const Digest digest = sha256(text);
      blobs[digest] = text;
      return digest;
    }
    std::map<Digest, std::string>& blobs;
    std::string text;
  };
  std::map<Digest, std::string> blobs_;
};

struct DownloadFixture {
  MemoryBlobs blobs;
  DownloaderOptions options{.max_attempts = 3, .retry_delay = std::chrono::milliseconds(1)};
  std::vector<std::string> warnings;

  DownloadResult get(const std::string& url, DownloadRequest request = {}) {
    request.url = *parse_url(url);
    options.warn = [this](const std::string& text) { warnings.push_back(text); };
    Downloader downloader(options);
    return downloader.get(request, [this] { return blobs.create(); });
  }
  Error error(const std::string& url, const DownloadRequest& request = {}) {
    try {
      get(url, request);
    } catch (const Error& e) {
      return e;
    }
    return Error(ErrorCode::internal, "no error");
  }
};

using Responses = std::vector<FakeResponse>;

/// Answers the n-th request with the n-th response, the last one for ever.
FakeServer::Handler script(Responses responses) {
  return [responses = std::move(responses), n = std::size_t{0}](const FakeRequest&) mutable {
    return responses[std::min(n++, responses.size() - 1)];
  };
}

TEST_CASE_FIXTURE(DownloadFixture, "a file with its validators") {
  FakeServer server(
      script({{.headers = {{"ETag", "\"1\""}, {"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"}}, .body = "hello"}}));
  const DownloadResult got = get(server.url("/f"));
  CHECK(got.content == sha256("hello"));
  CHECK(got.size == 5);
  CHECK(got.etag == "\"1\"");
  CHECK(got.last_modified_s == 784111777);
  CHECK(got.modified_is_strong);
  CHECK_FALSE(got.unchanged);
  CHECK(blobs.at(got.content) == "hello");
  CHECK(server.log().at(0).header("if-none-match") == "");
}

TEST_CASE_FIXTURE(DownloadFixture, "an empty file, and one without any validator") {
  FakeServer server(script({{.body = ""}}));
  const DownloadResult got = get(server.url("/f"));
  CHECK(got.content == sha256(""));
  CHECK(got.etag == "");
  CHECK_FALSE(got.last_modified_s.has_value());
  CHECK_FALSE(got.modified_is_strong);
}

TEST_CASE_FIXTURE(DownloadFixture, "a known content does not come again") {
  DownloadRequest known;
  known.etags = {"\"1\"", "W/\"2\""};
  SUBCASE("the server says 304") {
    FakeServer server(script({{.status = 304, .headers = {{"ETag", "\"2\""}}}}));
    const DownloadResult got = get(server.url("/f"), known);
    CHECK(got.unchanged);
    CHECK(got.etag == "\"2\"");
    CHECK(server.log().at(0).header("if-none-match") == "\"1\", W/\"2\"");
  }
  SUBCASE("the server does not know conditions but gives the tag") {
    FakeServer server(script({{.headers = {{"ETag", "\"2\""}}, .body = std::string(10 << 20, 'x')}}));
    CHECK(get(server.url("/f"), known).unchanged);
  }
  SUBCASE("the server does not know conditions, and the file is empty") {
    FakeServer server(script({{.headers = {{"ETag", "\"2\""}}, .body = ""}}));
    CHECK(get(server.url("/f"), known).unchanged);
  }
  SUBCASE("an empty file that is said to be encoded") {
    FakeServer server(script({{.headers = {{"Content-Encoding", "gzip"}}, .body = ""}}));
    CHECK(get(server.url("/f"), known).content == sha256(""));
  }
  SUBCASE("by its time") {
    known = {};
    known.modified = "Sun, 06 Nov 1994 08:49:37 GMT";
    FakeServer server(script({{.status = 304}}));
    CHECK(get(server.url("/f"), known).unchanged);
    CHECK(server.log().at(0).header("if-modified-since") == known.modified);
  }
}

TEST_CASE_FIXTURE(DownloadFixture, "another content comes") {
  DownloadRequest known;
  known.etags = {"\"1\""};
  FakeServer server(script({{.headers = {{"ETag", "\"2\""}}, .body = "new"}}));
  CHECK(get(server.url("/f"), known).content == sha256("new"));
}

TEST_CASE_FIXTURE(DownloadFixture, "304 to a question without conditions is an error") {
  FakeServer server(script({{.status = 304}}));
  CHECK(error(server.url("/f")).code() == ErrorCode::network);
}

TEST_CASE_FIXTURE(DownloadFixture, "a time that the file may still be changed in names nothing") {
  FakeServer server(script(
      {{.headers = {{"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"Date", "Sun, 06 Nov 1994 08:49:38 GMT"}},
        .body = "x"}}));
  CHECK_FALSE(get(server.url("/f")).modified_is_strong);
}

TEST_CASE_FIXTURE(DownloadFixture, "a broken transfer is continued when the tag says that it is the same file") {
  const std::string body(100'000, 'y');
  const std::vector<std::pair<std::string, std::string>> tag = {{"ETag", "\"1\""}};
  FakeServer server([&](const FakeRequest& r) -> FakeResponse {
    if (r.header("range").empty()) return {.headers = tag, .body = body, .reset_after = 60'000};
    CHECK(r.header("if-range") == "\"1\"");
    const auto from = static_cast<std::size_t>(*parse_int(r.header("range").substr(6, r.header("range").size() - 7)));
    return {.status = 206,
            .headers = {{"ETag", "\"1\""}, {"Content-Range", cat("bytes ", from, "-99999/100000")}},
            .body = body.substr(from)};
  });
  CHECK(get(server.url("/f")).content == sha256(body));
  CHECK(warnings.size() <= 1);
}

TEST_CASE_FIXTURE(DownloadFixture, "a broken transfer without a tag begins again") {
  const std::string body(100'000, 'y');
  FakeServer server(script({{.body = body, .reset_after = 60'000}, {.body = body}}));
  CHECK(get(server.url("/f")).content == sha256(body));
  CHECK(server.log().at(1).header("range") == "");
}

TEST_CASE_FIXTURE(DownloadFixture, "a file that changes while it is resumed is taken whole") {
  const std::string first(100'000, 'a'), second(90'000, 'b');
  FakeServer server(script({{.headers = {{"ETag", "\"1\""}}, .body = first, .reset_after = 60'000},
                            {.headers = {{"ETag", "\"2\""}}, .body = second}}));
  const DownloadResult got = get(server.url("/f"));
  CHECK(got.content == sha256(second));
  CHECK(got.etag == "\"2\"");
}

TEST_CASE_FIXTURE(DownloadFixture, "a cut body is an error, not a file") {
  FakeServer server(script({{.body = "short", .reset_after = 5, .stated_length = 100}}));
  const Error got = error(server.url("/f?key=secret"));
  CHECK(got.code() == ErrorCode::network);
  CHECK(std::string(got.what()).starts_with(cat("GET ", server.url("/f?key=***"), ": ")));
  CHECK(server.log().size() == 3);
  CHECK_FALSE(blobs.has(sha256("short")));
}

TEST_CASE_FIXTURE(DownloadFixture, "a body that stalls is an error") {
  FakeServer server(script({{.body = std::string(1000, 'x'), .stall_after = 10}}));
  options.max_attempts = 1;
  options.limits.window = std::chrono::milliseconds(300);
  CHECK(std::string(error(server.url("/f")).what()).find("the least is") != std::string::npos);
}

TEST_CASE_FIXTURE(DownloadFixture, "a body over the limit is refused, whether it is announced or not") {
  options.max_bytes = 1000;
  bool announced = true;
  SUBCASE("announced") {}
  SUBCASE("not announced") { announced = false; }
  FakeServer server(script({{.body = std::string(2000, 'x'), .no_length = !announced}}));
  const Error got = error(server.url("/f"));
  CHECK(got.code() == ErrorCode::input);
  CHECK(std::string(got.what()).find("larger than 1") != std::string::npos);
  CHECK(server.log().size() == 1);
}

constexpr std::string_view kHelloGzip = "H4sIAAAAAAACA8tIzcnJBwCGphA2BQAAAA==";
constexpr std::string_view kHelloDeflate = "eJzLSM3JyQcABiwCFQ==";
/// 100,000 times x.
constexpr std::string_view kLargeGzip =
    "H4sIAAAAAAACA+"
    "3BMQEAAADCoNqLbw0PoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIBXA3ERB/6ghgEA";

FakeResponse encoded(std::string_view coding, std::string_view base64) {
  return {.headers = {{"Content-Encoding", std::string(coding)}, {"ETag", "\"1\""}}, .body = *base64_decode(base64)};
}

TEST_CASE_FIXTURE(DownloadFixture, "a file is stored decoded, without its Content-Encoding") {
  for (const auto& [coding, body] : {std::pair{"gzip", kHelloGzip},
                                     {"GZip", kHelloGzip},
                                     {"deflate", kHelloDeflate},
                                     {"identity, gzip", kHelloGzip}}) {
    CAPTURE(coding);
    FakeServer server(script({encoded(coding, body)}));
    const DownloadResult got = get(server.url("/f"));
    CHECK(got.content == sha256("hello"));
    CHECK(got.size == 5);
    CHECK(got.etag == "\"1\"");
    CHECK(get(server.url("/f"), {.etags = {"\"1\""}}).unchanged);
  }
  // How servers mark archives that are files of their own, and what is not a coding of HTTP.
  for (const char* coding : {"x-gzip", "aws-chunked", "utf-8", "identity", ""}) {
    CAPTURE(coding);
    FakeServer server(script({encoded(coding, kHelloGzip)}));
    CHECK(get(server.url("/f")).content == sha256(*base64_decode(kHelloGzip)));
    CHECK(server.log().size() == 1);
  }
}

TEST_CASE_FIXTURE(DownloadFixture, "an encoded file: through redirects, broken, false, too large") {
  FakeResponse cut = encoded("gzip", kLargeGzip);
  cut.reset_after = 60;
  const FakeResponse whole = encoded("gzip", kLargeGzip);
  FakeServer server(script({{.status = 302, .headers = {{"Location", "/g"}}}, cut, cut, whole}));
  CHECK(get(server.url("/f")).content == sha256(std::string(100'000, 'x')));
  for (const FakeRequest& request : server.log()) CHECK(request.header("range") == "");

  FakeServer garbage(script({{.headers = {{"Content-Encoding", "gzip"}}, .body = "this is not gzip"}}));
  options.max_attempts = 1;
  CHECK(error(garbage.url("/f")).code() == ErrorCode::network);

  options.max_bytes = 50'000;
  FakeServer bomb(script({whole}));
  CHECK(std::string(error(bomb.url("/f")).what()).find("larger than") != std::string::npos);
}

TEST_CASE_FIXTURE(DownloadFixture, "statuses") {
  const auto answer = [&](int status, std::string body) {
    FakeServer server(script({{.status = status, .body = std::move(body)}}));
    return error(server.url("/f"));
  };
  Error got = answer(404, "<html>no</html>");
  CHECK(got.code() == ErrorCode::not_found);
  CHECK(std::string(got.what()).ends_with(": HTTP 404 Not Found"));
  got = answer(403, "no way");
  CHECK(got.code() == ErrorCode::denied);
  CHECK(got.hint().find("HTTP_AUTH_TOKEN_127.0.0.1") != std::string::npos);
  got = answer(500, "");
  CHECK(got.code() == ErrorCode::network);
  CHECK(warnings.size() >= 2);
}

TEST_CASE_FIXTURE(DownloadFixture, "credentials go to the origin of the URL only") {
  FakeServer there(script({{.body = "x"}}));
  FakeServer server([&](const FakeRequest& r) -> FakeResponse {
    if (r.path == "/first") return {.status = 302, .headers = {{"Location", "/second"}}};
    return {.status = 307, .headers = {{"Location", there.url("/third")}}};
  });
  DownloadRequest request;
  request.authorization = "Bearer hush";
  CHECK(get(server.url("/first"), request).content == sha256("x"));
  CHECK(server.log().at(0).header("authorization") == "Bearer hush");
  CHECK(server.log().at(1).header("authorization") == "Bearer hush");
  CHECK(there.log().at(0).header("authorization") == "");
}

TEST_CASE_FIXTURE(DownloadFixture, "no message repeats a credential") {
  FakeServer server(script({{.status = 400, .body = "bad token hush-hush"}}));
  DownloadRequest request;
  request.authorization = "Bearer hush-hush";
  CHECK(std::string(error(server.url("/f"), request).what()).find("hush") == std::string::npos);
}

TEST_CASE_FIXTURE(DownloadFixture, "redirects without an end") {
  FakeServer server(script({{.status = 302, .headers = {{"Location", "/again"}}}}));
  CHECK(std::string(error(server.url("/f")).what()).find("too many redirects") != std::string::npos);
}

TEST_CASE("where redirects may lead") {
  const auto follow = [](const char* from, const char* to, bool plain = false) {
    const Url url = *parse_url(from);
    return follow_location(url, to, url.host, plain, "GET x").str();
  };
  CHECK(follow("https://a.example/x/y", "../z") == "https://a.example/z");
  CHECK(follow("http://a.example/", "https://b.example/") == "https://b.example/");
  CHECK(follow("https://a.example/", "http://b.example/f", true) == "http://b.example/f");
  CHECK(follow("http://127.0.0.1:1/", "http://localhost:2/") == "http://localhost:2/");
  for (const char* to : {"http://b.example/", "file:///etc/passwd", "https://127.0.0.1/", "https://169.254.169.254/",
                         "https://[::1]/", "https://user:pw@b.example/"}) {
    CAPTURE(to);
    CHECK_THROWS_AS(follow("https://a.example/", to), Error);
  }
}

}  // namespace
}  // namespace cbuild::http
