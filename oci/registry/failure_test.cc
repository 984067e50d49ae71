// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/failure.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"

using namespace cbuild;
using namespace cbuild::oci::registry;

namespace {

http::Response answer(int status, std::string body) {
  http::Response out;
  out.status = status;
  out.body = std::move(body);
  return out;
}

ErrorCode thrown(const http::Response& response) {
  try {
    throw_failure(response, "pull of x", http::Secrets{});
  } catch (const Error& e) {
    return e.code();
  }
}

}  // namespace

TEST_CASE("error bodies") {
  CHECK(parse_errors(R"({"errors":[{"code":"A","message":"b","detail":{}},{"code":"C"}]})") ==
        std::vector<RegistryError>{{"A", "b"}, {"C", ""}});
  CHECK(parse_errors("<html>").empty());
  CHECK(parse_errors(R"({"errors":"x"})").empty());
  CHECK(parse_errors(R"({"errors":[{"code":1}]})").empty());
  CHECK(has_code(answer(400, R"({"errors":[{"code":"DIGEST_INVALID"}]})"), "DIGEST_INVALID"));
}

TEST_CASE("a quota that is used up is told from a pause that is asked for") {
  const std::string body = R"({"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]})";
  http::Response response = answer(429, body);
  CHECK(is_used_up_quota(response));
  response.headers = {{"retry-after", "0"}};
  CHECK_FALSE(is_used_up_quota(response));
  CHECK_FALSE(is_used_up_quota(answer(429, "slow down")));
  CHECK_FALSE(is_used_up_quota(answer(503, body)));
}

TEST_CASE("one line of explanation") {
  const http::Secrets none;
  CHECK(explain(answer(404, R"({"errors":[{"code":"NAME_UNKNOWN","message":"no repo"}]})"), none) ==
        "HTTP 404 NAME_UNKNOWN: no repo");
  CHECK(explain(answer(502, "<html><body>x</body></html>"), none) == "HTTP 502 Bad Gateway");
  CHECK(explain(answer(500, " plain words\n"), none) == "HTTP 500 plain words");
  CHECK(explain(answer(599, ""), none) == "HTTP 599");
  CHECK(explain(answer(500, std::string(10'000, 'x')), none).size() < 500);
  CHECK(explain(answer(500, "a\x1b[31mb"), none).find('\x1b') == std::string::npos);
}

TEST_CASE("secrets do not appear, plain or in base64") {
  http::Secrets secrets;
  secrets.add("hunter22");
  secrets.add("hunter22-long");
  secrets.add("abc");  // too short to hide
  CHECK(secrets.redact("x hunter22-long y hunter22 abc") == "x *** y *** abc");
  CHECK(secrets.redact("Basic " + base64_encode("hunter22")) == "Basic ***");
}

TEST_CASE("each way in which a certificate fails has a hint of its own") {
  const auto hint = [](const char* text) {
    http::Response failed;
    failed.failure = http::TransportFailure{http::TransportFailure::Kind::certificate, text};
    try {
      throw_failure(failed, "pull of x", http::Secrets{});
    } catch (const Error& e) {
      return e.hint();
    }
  };
  CHECK(hint("SSL certificate problem: certificate has expired").find("set this machine's clock") != std::string::npos);
  CHECK(hint("SSL: no alternative certificate subject name matches").find("for another host") != std::string::npos);
  CHECK(hint("SSL certificate problem: unable to get local issuer certificate").find("ca.crt") != std::string::npos);
}

TEST_CASE("codes of errors") {
  CHECK(thrown(answer(404, "")) == ErrorCode::not_found);
  CHECK(thrown(answer(401, "")) == ErrorCode::denied);
  CHECK(thrown(answer(403, "")) == ErrorCode::denied);
  CHECK(thrown(answer(500, "")) == ErrorCode::network);
  http::Response broken;
  broken.failure = http::TransportFailure{http::TransportFailure::Kind::certificate, "untrusted"};
  CHECK(thrown(broken) == ErrorCode::network);
}
