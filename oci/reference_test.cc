// SPDX-License-Identifier: Apache-2.0
#include "oci/reference.h"

#include <doctest/doctest.h>

#include "base/error.h"

using namespace cbuild;
using namespace cbuild::oci;

namespace {

const std::string kDigest = "sha256:7cc4b5aefd1d0cadf8d97d4350462ba51c694ebca145b08d7d41b41acc8db5aa";

std::string full(const std::string& text) { return parse_reference(text).str(); }
std::string familiar(const std::string& text) { return parse_reference(text).familiar(); }

std::string refusal(const std::string& text) {
  try {
    parse_reference(text);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::input);
    return e.what();
  }
  return {};
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("names are normalised") {
  CHECK(full("busybox") == "docker.io/library/busybox:latest");
  CHECK(full("busybox:1.36") == "docker.io/library/busybox:1.36");
  CHECK(full("me/app") == "docker.io/me/app:latest");
  CHECK(full("docker.io/busybox") == "docker.io/library/busybox:latest");
  CHECK(full("index.docker.io/busybox") == "docker.io/library/busybox:latest");
  CHECK(full("localhost/app") == "localhost/app:latest");
  CHECK(full("localhost:5000/a/b_c/d--e:V1.0-x_") == "localhost:5000/a/b_c/d--e:V1.0-x_");
  CHECK(full("ghcr.io/org/app") == "ghcr.io/org/app:latest");
  CHECK(full("HOST/app") == "HOST/app:latest");
  CHECK(full("[::1]:5000/x") == "[::1]:5000/x:latest");
  CHECK(full("[fe80::1]/x") == "[fe80::1]/x:latest");
  CHECK(full("busybox@" + kDigest) == "docker.io/library/busybox@" + kDigest);
  CHECK(full("busybox:1@" + kDigest) == "docker.io/library/busybox:1@" + kDigest);
  CHECK(full("localhost:5000") == "docker.io/library/localhost:5000");
}

TEST_CASE("parts") {
  const Reference ref = parse_reference("r.example:8443/team/app:2@" + kDigest);
  CHECK(ref.registry == "r.example:8443");
  CHECK(ref.repository == "team/app");
  CHECK(ref.tag == "2");
  CHECK(ref.digest == Digest::parse(kDigest));
  CHECK(ref.name() == "r.example:8443/team/app");
  CHECK(parse_reference("a@" + kDigest).tag.empty());
}

TEST_CASE("familiar form") {
  CHECK(familiar("busybox") == "busybox:latest");
  CHECK(familiar("docker.io/library/busybox:1") == "busybox:1");
  CHECK(familiar("docker.io/library/a/b:1") == "library/a/b:1");
  CHECK(familiar("me/app:1") == "me/app:1");
  CHECK(familiar("quay.io/me/app:1") == "quay.io/me/app:1");
}

TEST_CASE("str() parses back to the same value") {
  for (const std::string text : {"busybox", "me/app:1", "localhost:5000/x", "[::1]/x:y", "a.b/c@"}) {
    const Reference ref = parse_reference(text.ends_with('@') ? text + kDigest : text);
    CHECK(parse_reference(ref.str()) == ref);
    CHECK(parse_reference(ref.familiar()) == ref);
  }
}

TEST_CASE("mistakes are named") {
  CHECK(has(refusal("Busybox"), "must be lowercase"));
  CHECK(has(refusal("docker.io/Me/app"), "must be lowercase"));
  CHECK(has(refusal(std::string(64, 'a')), "image id"));
  CHECK(has(refusal("a:" + std::string(129, 'x')), "tag"));
  CHECK(refusal("a:" + std::string(128, 'x')).empty());
  CHECK(has(refusal("r.io/" + std::string(256, 'a')), "longer than 255"));
  CHECK(refusal("r.io/" + std::string(255, 'a')).empty());
  CHECK(has(refusal("a@sha256:abc"), "sha256"));
  CHECK(has(refusal("a@"), "sha256"));
  for (const char* bad : {"",
                          ":",
                          "a:",
                          "a/",
                          "/a",
                          "a//b",
                          "a b",
                          "a..b",
                          "a.-b",
                          "a___b",
                          "-a",
                          "a-",
                          "a_",
                          "r.io:/a",
                          "r.io:x/a",
                          "-r.io/a",
                          "r..io/a",
                          "[::1/a",
                          "[]/a",
                          "[::g]/a",
                          "a:b:c",
                          "a@b@c",
                          "../../etc/passwd",
                          "r.io/",
                          "r.io/:t",
                          "a:.t",
                          "\n",
                          "a\n",
                          "\xff"}) {
    CAPTURE(bad);
    CHECK_FALSE(refusal(bad).empty());
  }
}
