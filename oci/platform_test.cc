// SPDX-License-Identifier: Apache-2.0
#include "oci/platform.h"

#include <doctest/doctest.h>

using namespace cbuild::oci;

namespace {

std::string parsed(std::string_view text) {
  const auto platform = parse_platform(text);
  return platform ? platform->str() : "-";
}

int score(std::string_view wanted, std::string_view image) {
  return match_score(parse_platform(wanted).value(), parse_platform(image).value());
}

}  // namespace

TEST_CASE("platforms are parsed and normalised") {
  CHECK(parsed("linux/amd64") == "linux/amd64");
  CHECK(parsed("linux/x86_64") == "linux/amd64");
  CHECK(parsed("Linux/AMD64/v1") == "linux/amd64");
  CHECK(parsed("linux/amd64/v3") == "linux/amd64/v3");
  CHECK(parsed("linux/aarch64") == "linux/arm64");
  CHECK(parsed("linux/arm64/v8") == "linux/arm64");
  CHECK(parsed("linux/arm64/v9.0") == "linux/arm64/v9");
  CHECK(parsed("linux/arm") == "linux/arm/v7");
  CHECK(parsed("linux/arm/6") == "linux/arm/v6");
  CHECK(parsed("linux/armel") == "linux/arm/v6");
  CHECK(parsed("linux/armhf") == "linux/arm/v7");
  CHECK(parsed("linux/i386") == "linux/386");
  CHECK(parsed("macos/arm64") == "darwin/arm64");
  CHECK(parsed("linux/made-up") == "linux/made-up");
}

TEST_CASE("a single word is an operating system or an architecture") {
  const std::string host = host_platform().str();
  CHECK(parsed("local") == host);
  CHECK(parsed("linux") == host);
  CHECK(parsed("arm64") == "linux/arm64");
  CHECK(parsed("armhf") == "linux/arm/v7");
  CHECK(parsed("x86_64") == "linux/amd64");
  CHECK(parsed("riscv64") == "linux/riscv64");
  CHECK(parsed("i386") == "linux/386");
}

TEST_CASE("versions and features of an operating system") {
  const auto windows = parse_platform("windows(10.0.17763+win32k+a%2Fb)/amd64");
  REQUIRE(windows);
  CHECK(windows->os_version == "10.0.17763");
  CHECK(windows->os_features == std::vector<std::string>{"a/b", "win32k"});
}

TEST_CASE("other text is not a platform") {
  for (const char* bad : {"", "/", "linux/", "/amd64", "linux/amd64/v1/x", "vax", "linux/*", "lin ux/amd64", "linux(/x",
                          "linux(1+)/x", "linux(%zz)/x", "linux/amd64/", "../etc"}) {
    CAPTURE(bad);
    CHECK(parsed(bad) == "-");
  }
}

TEST_CASE("normalize is idempotent and sorts features") {
  const Platform once = normalize({"", "x86-64", "v1", "", {"b", "a", "b"}});
  CHECK(once == Platform{"linux", "amd64", "", "", {"a", "b"}});
  CHECK(normalize(once) == once);
}

TEST_CASE("the exact match is best and lower levels serve higher ones") {
  CHECK(score("linux/amd64", "linux/amd64") > score("linux/amd64", "linux/386"));
  CHECK(score("linux/amd64/v3", "linux/amd64/v3") > score("linux/amd64/v3", "linux/amd64/v2"));
  CHECK(score("linux/amd64/v3", "linux/amd64/v2") > score("linux/amd64/v3", "linux/amd64"));
  CHECK(score("linux/amd64", "linux/amd64/v2") == 0);
  CHECK(score("linux/arm/v7", "linux/arm/v7") > score("linux/arm/v7", "linux/arm/v6"));
  CHECK(score("linux/arm/v7", "linux/arm/v5") > 0);
  CHECK(score("linux/arm/v6", "linux/arm/v7") == 0);
  CHECK(score("linux/arm64", "linux/arm64") > score("linux/arm64", "linux/arm/v8"));
  CHECK(score("linux/arm64", "linux/arm/v8") > score("linux/arm64", "linux/arm/v7"));
  CHECK(score("linux/arm64", "linux/arm/v6") > 0);
  CHECK(score("linux/arm64", "linux/arm64/v9") == 0);
  CHECK(score("linux/arm64/v9", "linux/arm64/v8.5") > score("linux/arm64/v9", "linux/arm64"));
  CHECK(score("linux/arm64/v9", "linux/arm64/v8.6") == 0);
  CHECK(score("linux/arm64/v8.1", "linux/arm64") > 0);
  CHECK(score("linux/arm64/v77", "linux/arm64") == 0);
  CHECK(score("linux/amd64", "windows/amd64") == 0);
  CHECK(score("linux/riscv64", "linux/amd64") == 0);
}

TEST_CASE("features must be a subset, Windows builds must agree") {
  const Platform plain{"linux", "amd64", "", "", {}}, special{"linux", "amd64", "", "", {"gpu"}};
  CHECK(match_score(plain, special) == 0);
  CHECK(match_score(special, special) > match_score(special, plain));
  CHECK(match_score(special, plain) > 0);
  const Platform want{"windows", "amd64", "", "10.0.17763.1000", {}};
  CHECK(match_score(want, {"windows", "amd64", "", "10.0.17763.55", {"win32k"}}) > 0);
  CHECK(match_score(want, {"windows", "amd64", "", "10.0.20348.1", {}}) == 0);
}
