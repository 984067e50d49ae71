// SPDX-License-Identifier: Apache-2.0
#include "base/http/retry.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/sys.h"

using namespace cbuild;
using namespace cbuild::http;
using namespace std::chrono_literals;

namespace {

Response status(int code, HeaderList headers = {}, std::string body = {}) {
  Response out;
  out.status = code;
  out.headers = std::move(headers);
  out.body = std::move(body);
  return out;
}

Response failure(TransportFailure::Kind kind, int status = 0) {
  Response out;
  out.status = status;
  out.failure = TransportFailure{kind, "x"};
  return out;
}

/// How many attempts an answer is worth.
unsigned attempts(const Response& response, unsigned most = 4) {
  RetryPolicy policy({.max_attempts = most, .delay = 0ms, .cancel = nullptr, .warn = nullptr, .is_final = nullptr});
  unsigned n = 1;
  while (policy.again(response, "https://h", n, "x")) ++n;
  return n;
}

}  // namespace

TEST_CASE("Retry-After is seconds or a date") {
  CHECK(parse_retry_after("0", 0) == 0);
  CHECK(parse_retry_after(" 17 ", 0) == 17'000);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111770) == 7'000);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111999) == 0);
  for (const char* bad : {"", "-1", "soon", "1.5", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_retry_after(bad, 0));
  }
}

TEST_CASE("pauses grow and jitter") {
  CHECK(backoff(1000ms, 1, 0.5) == 1000ms);
  CHECK(backoff(1000ms, 1, 0) == 750ms);
  CHECK(backoff(1000ms, 2, 0.5) == 3000ms);
  CHECK(backoff(1000ms, 3, 1) == 10000ms);
  CHECK(backoff(1000ms, 50, 0.5) == 8000ms);
}

TEST_CASE("failures that are worth another attempt") {
  using Kind = TransportFailure::Kind;
  for (const int code : {408, 429, 500, 502, 503, 504}) {
    CAPTURE(code);
    CHECK(attempts(status(code)) == 4);
  }
  for (const int code : {200, 400, 401, 403, 404, 405, 416, 501}) {
    CAPTURE(code);
    CHECK(attempts(status(code)) == 1);
  }
  CHECK(attempts(failure(Kind::broken)) == 4);
  CHECK(attempts(failure(Kind::stalled)) == 2);
  CHECK(attempts(failure(Kind::stalled, 200)) == 4);
  CHECK(attempts(failure(Kind::slow, 200)) == 3);
  CHECK(attempts(failure(Kind::damaged, 200)) == 2);
  CHECK(attempts(failure(Kind::connect)) == 2);
  CHECK(attempts(failure(Kind::resolve)) == 2);
  for (const Kind kind : {Kind::certificate, Kind::no_authorities, Kind::client_certificate, Kind::own_certificate}) {
    CHECK(attempts(failure(kind)) == 1);
  }
  CHECK(attempts(failure(Kind::too_large)) == 1);
}

TEST_CASE("an answer that the caller calls final is not asked for again") {
  RetryPolicy policy(
      {.max_attempts = 4, .delay = 0ms, .cancel = nullptr, .warn = nullptr, .is_final = [](const Response& r) {
         return r.body == "used up";
       }});
  CHECK_FALSE(policy.again(status(429, {}, "used up"), "https://h", 1, "x"));
  CHECK(policy.again(status(429, {}, "later"), "https://h", 1, "x"));
  CHECK(attempts(status(503, {{"retry-after", "86400"}})) == 1);
}

TEST_CASE("Retry-After closes the host for all, and only that host") {
  RetryPolicy policy({.max_attempts = 2, .delay = 0ms, .cancel = nullptr, .warn = nullptr, .is_final = nullptr});
  const std::int64_t before = sys::monotonic_ns();
  CHECK(policy.again(status(429, {{"retry-after", "1"}}), "https://a", 1, "x"));
  policy.wait_turn("https://a");
  CHECK(sys::monotonic_ns() - before >= 1'000'000'000);
  policy.wait_turn("https://b");
}

TEST_CASE("a cancel ends the pause") {
  CancelSource cancel;
  cancel.cancel();
  RetryPolicy policy({.max_attempts = 2, .delay = 1h, .cancel = &cancel, .warn = nullptr, .is_final = nullptr});
  CHECK_THROWS_AS(policy.again(status(500), "https://a", 1, "x"), Error);
}

TEST_CASE("each new attempt is told") {
  std::string line;
  RetryPolicy policy(
      {.max_attempts = 3, .delay = 0ms, .cancel = nullptr, .warn = [&](const std::string& l) { line = l; }});
  CHECK(policy.again(status(500), "https://a", 1, "pull of x: HTTP 500"));
  CHECK(line == "pull of x: HTTP 500; trying again (2 of 3)");
}
