// SPDX-License-Identifier: Apache-2.0
#include "base/http/answer_reader.h"

#include <doctest/doctest.h>

namespace cbuild::http {
namespace {

bool give(AnswerReader& reader, std::string_view text) { return reader.take_body(std::as_bytes(std::span(text))); }

TEST_CASE("an interim answer is replaced by the final one") {
  const Request request;
  AnswerReader reader(request);
  for (const char* line : {"HTTP/1.1 100 Continue\r\n", "X-Early: 1\r\n", "\r\n"}) CHECK(reader.take_header(line));
  CHECK_FALSE(reader.is_final());
  for (const char* line : {"HTTP/1.1 200 OK\r\n", "ETag:  \"a\" \r\n", "no colon\r\n", "\r\n"})
    CHECK(reader.take_header(line));
  CHECK(reader.is_final());
  CHECK(reader.response().headers == HeaderList{{"etag", "\"a\""}});
  CHECK(give(reader, "bo"));
  CHECK(give(reader, "dy"));
  CHECK(reader.response().body == "body");
  CHECK_FALSE(reader.over_limit());
}

TEST_CASE("a body that is buffered ends at its limit, one for a sink does not") {
  Request request;
  request.limit = 3;
  AnswerReader reader(request);
  reader.take_header("HTTP/1.1 200 OK");
  CHECK(give(reader, "abc"));
  CHECK_FALSE(give(reader, "d"));
  REQUIRE(reader.over_limit());
  CHECK(reader.over_limit()->kind == TransportFailure::Kind::too_large);

  std::size_t bytes = 0;
  request.sink = [&](const Response& head, std::span<const std::byte> data) {
    CHECK(head.status == 206);
    bytes += data.size();
  };
  AnswerReader streamed(request);
  streamed.take_header("HTTP/1.1 206 Partial Content");
  CHECK(give(streamed, "abcdef"));
  CHECK(bytes == 6);
  CHECK_FALSE(streamed.over_limit());
}

TEST_CASE("of an answer without success the first 64 KiB are kept, and a megabyte more is read") {
  const Request request;
  AnswerReader reader(request);
  reader.take_header("HTTP/1.1 500 Broken");
  const std::string piece(512u << 10, 'x');
  CHECK(give(reader, piece));
  CHECK(give(reader, piece));
  CHECK_FALSE(reader.has_enough());
  CHECK_FALSE(give(reader, piece));
  CHECK(reader.has_enough());
  CHECK(reader.response().body.size() == 64u << 10);
  CHECK_FALSE(reader.over_limit());
}

TEST_CASE("headers are read up to a megabyte") {
  const Request request;
  AnswerReader reader(request);
  reader.take_header("HTTP/1.1 200 OK");
  const std::string line = "A: " + std::string(600u << 10, 'x');
  CHECK(reader.take_header(line));
  CHECK_FALSE(reader.take_header(line));
  REQUIRE(reader.over_limit());
  CHECK(reader.response().headers.size() == 1);
}

}  // namespace
}  // namespace cbuild::http
