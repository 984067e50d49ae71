// SPDX-License-Identifier: Apache-2.0
#include "base/http/url.h"

#include <doctest/doctest.h>

using namespace cbuild::http;

namespace {

std::string parsed(std::string_view text) {
  const auto url = parse_url(text);
  return url ? url->str() : "-";
}

std::string resolved(std::string_view base, std::string_view reference) {
  const auto url = resolve_url(parse_url(base).value(), reference);
  return url ? url->str() : "-";
}

}  // namespace

TEST_CASE("URLs are parsed and normalised") {
  CHECK(parsed("https://Example.COM") == "https://example.com/");
  CHECK(parsed("HTTPS://example.com:443/a?b=c#d") == "https://example.com/a?b=c");
  CHECK(parsed("http://example.com:80/") == "http://example.com/");
  CHECK(parsed("http://example.com:443/") == "http://example.com:443/");
  CHECK(parsed("http://[::1]:5000/x") == "http://[::1]:5000/x");
  CHECK(parsed("https://h?x=1") == "https://h/?x=1");
  CHECK(parsed("https://h/a b/\xc3\xa9") == "https://h/a%20b/%C3%A9");
  CHECK(parse_url("https://h:8443/p?q")->origin() == "https://h:8443");
}

TEST_CASE("a URL that could be read in two ways is refused") {
  for (const char* bad :
       {"", "h", "//h/", "ftp://h/", "file:///etc/passwd", "https://", "https:///x", "https://u:p@h/", "https://h:0/",
        "https://h:65536/", "https://h:x/", "https://h:/", "https://h\\@e/", "https://h/\r\nX: y", "https://[::1/",
        "https://[]/", "https://h h/", "https://h%2fe/", "javascript:alert(1)"}) {
    CAPTURE(bad);
    CHECK(parsed(bad) == "-");
  }
}

TEST_CASE("references are resolved as RFC 3986 says") {
  const char* base = "https://r.io:5000/v2/a/blobs/uploads/?x=1";
  CHECK(resolved(base, "/v2/b?state=%2B&c") == "https://r.io:5000/v2/b?state=%2B&c");
  CHECK(resolved(base, "https://cdn.io/x") == "https://cdn.io/x");
  CHECK(resolved(base, "//cdn.io/x") == "https://cdn.io/x");
  CHECK(resolved(base, "uuid?y") == "https://r.io:5000/v2/a/blobs/uploads/uuid?y");
  CHECK(resolved(base, "../z") == "https://r.io:5000/v2/a/blobs/z");
  CHECK(resolved(base, "./.././../z/./") == "https://r.io:5000/v2/a/z/");
  CHECK(resolved(base, "/a/b/../..") == "https://r.io:5000/");
  CHECK(resolved(base, "../../../../../../z") == "https://r.io:5000/z");
  CHECK(resolved(base, "?q") == "https://r.io:5000/v2/a/blobs/uploads/?q");
  CHECK(resolved(base, "#f") == base);
  CHECK(resolved(base, "uuid:1/x") == "-");
  CHECK(resolved(base, "gopher://x/") == "-");
  CHECK(resolved(base, "/a\nb") == "-");
}

TEST_CASE("query members are added percent-encoded") {
  Url url = *parse_url("https://h/p?_state=a%2Bb");
  add_query(url, "digest", "sha256:a+b&c");
  CHECK(url.query == "?_state=a%2Bb&digest=sha256%3Aa%2Bb%26c");
  Url bare = *parse_url("https://h/p");
  add_query(bare, "k", "");
  CHECK(bare.query == "?k=");
}

TEST_CASE("messages show no secret of a query") {
  CHECK(parse_url("https://h/p?X-Amz-Signature=abc&digest=sha256:1&flag&token=t")->redacted() ==
        "https://h/p?X-Amz-Signature=***&digest=sha256:1&flag&token=***");
  CHECK(parse_url("https://h/p")->redacted() == "https://h/p");
}

TEST_CASE("locality of hosts") {
  for (const char* host : {"localhost", "LOCALHOST", "x.localhost", "127.0.0.1", "127.8.9.1", "127.1", "2130706433",
                           "0x7f000001", "0", "0.0.0.0", "[::1]", "::1", "[::]", "[::ffff:127.0.0.1]"}) {
    CAPTURE(host);
    CHECK(locality(host) == Locality::loopback);
  }
  for (const char* host : {"169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0xa9fea9fe"}) {
    CAPTURE(host);
    CHECK(locality(host) == Locality::link_local);
  }
  for (const char* host :
       {"10.0.0.1", "172.16.0.1", "172.31.255.1", "192.168.1.1", "100.64.0.1", "[fd00::1]", "[fc00::1]"}) {
    CAPTURE(host);
    CHECK(locality(host) == Locality::internal);
  }
  for (const char* host : {"example.com", "8.8.8.8", "172.32.0.1", "[2001:db8::1]", "localhost.example.com"}) {
    CAPTURE(host);
    CHECK(locality(host) == Locality::open);
  }
}
