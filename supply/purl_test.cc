// SPDX-License-Identifier: Apache-2.0
#include "supply/purl.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace cbuild::supply {

TEST_CASE("an image has the package URL that BuildKit gives it") {
  const auto amd64 = oci::parse_platform("linux/amd64");
  const auto url = [&](const char* text) { return image_purl("docker", oci::parse_reference(text), amd64); };
  CHECK(url("a/b:1") == "pkg:docker/a/b@1?platform=linux%2Famd64");
  CHECK(url("busybox") == "pkg:docker/busybox@latest?platform=linux%2Famd64");
  CHECK(url("localhost:5000/x:y") == "pkg:docker/localhost%3A5000/x@y?platform=linux%2Famd64");
  const std::string digest = sha256("x").str();
  CHECK(url(cat("ghcr.io/a/b/c@", digest).c_str()) ==
        cat("pkg:docker/ghcr.io/a/b/c?digest=", digest, "&platform=linux%2Famd64"));
  CHECK(image_purl("oci", oci::parse_reference("busybox"), std::nullopt) == "pkg:oci/busybox@latest");
}

TEST_CASE("characters that a package URL does not take are encoded") {
  const Purl purl{"npm", "@angular", "a b", "1:2+3", {{"arch", "x/y"}, {"empty", ""}, {"z", "é"}}};
  CHECK(purl.str() == "pkg:npm/%40angular/a%20b@1:2%2B3?arch=x%2Fy&z=%C3%A9");
}

}  // namespace cbuild::supply
