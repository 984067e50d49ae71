// SPDX-License-Identifier: Apache-2.0
// The examples of Amazon's documentation: "Signature Calculations for the Authorization Header: Single Chunk" and
// "Authenticating Requests: Using Query Parameters" of the S3 API reference.
#include "cache/objects/aws_signature.h"

#include <doctest/doctest.h>

#include "base/digest.h"

using namespace cbuild;
using namespace cbuild::cache;

namespace {

constexpr std::int64_t kNow = 1369353600;  // 2013-05-24T00:00:00Z
const AwsKeys kKeys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", {}, 0};
const AwsScope kScope{"us-east-1", "s3"};

http::Request request_for(const char* method, const char* url) {
  http::Request request;
  request.method = method;
  request.url = *http::parse_url(url);
  return request;
}

std::string header(const http::Request& request, std::string_view name) {
  for (const auto& [key, value] : request.headers)
    if (key == name) return value;
  return {};
}

}  // namespace

TEST_CASE("a GET of a part") {
  http::Request request = request_for("GET", "https://examplebucket.s3.amazonaws.com/test.txt");
  request.headers.emplace_back("Range", "bytes=0-9");
  sign_aws(request, sha256("").hex(), kKeys, kScope, kNow);
  CHECK(header(request, "Authorization") ==
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  CHECK(header(request, "x-amz-date") == "20130524T000000Z");
}

TEST_CASE("a PUT with a name that has to be encoded") {
  http::Request request = request_for("PUT", "https://examplebucket.s3.amazonaws.com/");
  request.url.path = "/" + aws_path("test$file.text");
  request.headers.emplace_back("Date", "Fri, 24 May 2013 00:00:00 GMT");
  request.headers.emplace_back("x-amz-storage-class", "REDUCED_REDUNDANCY");
  sign_aws(request, sha256("Welcome to Amazon S3.").hex(), kKeys, kScope, kNow);
  CHECK(header(request, "Authorization")
            .ends_with("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST_CASE("queries with and without values") {
  http::Request lifecycle = request_for("GET", "https://examplebucket.s3.amazonaws.com/?lifecycle");
  sign_aws(lifecycle, sha256("").hex(), kKeys, kScope, kNow);
  CHECK(header(lifecycle, "Authorization")
            .ends_with("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
  http::Request list = request_for("GET", "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J");
  sign_aws(list, sha256("").hex(), kKeys, kScope, kNow);
  CHECK(header(list, "Authorization")
            .ends_with("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST_CASE("a URL that needs no header") {
  const http::Url url =
      presign_aws(*http::parse_url("https://examplebucket.s3.amazonaws.com/test.txt"), kKeys, kScope, kNow, 86400);
  CHECK(url.str() ==
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
        "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires="
        "86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST_CASE("a temporary account sends its token, signed") {
  AwsKeys keys = kKeys;
  keys.session_token = "a/b=";
  http::Request request = request_for("GET", "https://examplebucket.s3.amazonaws.com/test.txt");
  sign_aws(request, sha256("").hex(), keys, kScope, kNow);
  CHECK(header(request, "x-amz-security-token") == "a/b=");
  CHECK(header(request, "Authorization").find("x-amz-date;x-amz-security-token,") != std::string::npos);
  CHECK(presign_aws(request.url, keys, kScope, kNow, 60).query.find("&X-Amz-Security-Token=a%2Fb%3D&") !=
        std::string::npos);
}

TEST_CASE("names of objects in paths") {
  CHECK(aws_path("blobs/sha256:ab c~_.-") == "blobs/sha256%3Aab%20c~_.-");
  CHECK(aws_path("\xc3\xa4") == "%C3%A4");
  CHECK(aws_query_value("a/b") == "a%2Fb");
}
