// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/lower_contexts.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::frontend {
namespace {

using Kind = NamedContext::Kind;
const oci::Platform kAmd64 = *oci::parse_platform("linux/amd64");
const oci::Platform kArm64 = *oci::parse_platform("linux/arm64");

TEST_CASE("familiar names") {
  CHECK(familiar_name("docker.io/library/busybox:latest") == "busybox");
  CHECK(familiar_name("busybox:1") == "busybox:1");
  CHECK(familiar_name("ghcr.io/a/b") == "ghcr.io/a/b");
  CHECK(familiar_name("Not A Reference") == "Not A Reference");
}

TEST_CASE("contexts are found however the image is spelt") {
  const NamedContexts contexts({{"docker.io/library/busybox", "docker-image://alpine"}, {"deps", "local:/deps"}});
  for (const char* name : {"busybox", "busybox:latest", "docker.io/library/busybox:latest", "library/busybox"}) {
    CAPTURE(name);
    const auto found = contexts.find(name, kAmd64);
    REQUIRE(found.has_value());
    CHECK(*found == NamedContext{Kind::image, "busybox", "docker-image://alpine"});
  }
  CHECK_FALSE(contexts.find("busybox:1", kAmd64).has_value());
  CHECK(contexts.find("deps", kAmd64)->kind == Kind::local);
}

TEST_CASE("a context for the platform beats the general one") {
  const NamedContexts contexts({{"base", "docker-image://any"}, {"base::linux/arm64/v8", "docker-image://arm"}});
  CHECK(contexts.find("base", kAmd64)->value == "docker-image://any");
  CHECK(contexts.find("base", kArm64)->value == "docker-image://arm");
  CHECK(contexts.find("base", kArm64)->name == "base::linux/arm64");
}

TEST_CASE("scratch and context cannot be replaced") {
  const NamedContexts contexts({{"scratch", "local:/x"}, {"context", "local:/y"}});
  CHECK_FALSE(contexts.find("scratch", kAmd64).has_value());
  CHECK_FALSE(contexts.find("Context", kAmd64).has_value());
}

TEST_CASE("kinds of contexts") {
  const std::pair<const char*, Kind> cases[] = {{"docker-image://x", Kind::image},
                                                {"docker-image:x", Kind::image},
                                                {"oci-layout:///d@sha256:1", Kind::layout},
                                                {"local:/d", Kind::local},
                                                {"https://h/x.git#main", Kind::git},
                                                {"git@h:x.git", Kind::git},
                                                {"ssh://h/x", Kind::git},
                                                {"https://h/x.tar", Kind::http},
                                                {"http://h/x", Kind::http}};
  for (const auto& [value, kind] : cases) {
    CAPTURE(value);
    CHECK(make_named_context("n", value).kind == kind);
  }
  CHECK_THROWS_WITH_AS(make_named_context("n", "nothing"), "invalid context specifier nothing for n", Error);
  CHECK_THROWS_WITH_AS(make_named_context("n", "input:x"), "unsupported context source input for n", Error);
}

}  // namespace
}  // namespace cbuild::frontend
