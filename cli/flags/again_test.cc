// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/again.h"

#include <doctest/doctest.h>

namespace cbuild::cli {

TEST_CASE("a build is asked for again without outputs and views") {
  const Arguments plain = {"--tag=app:1",
                           "--build-arg=X=a b",
                           "--push",
                           "--label",
                           "",
                           "--quiet=true",
                           "--output",
                           "",
                           "--no-cache",
                           "--",
                           "."};
  const auto again = read_again(again_text(plain, "/src"));
  REQUIRE(again);
  CHECK(*again == AgainLine{"/src", {"--build-arg=X=a b", "--label", "", "--", "."}});
}

TEST_CASE("builds that cannot be asked for again") {
  CHECK(again_text({"--", "-"}, "/").empty());
  CHECK(again_text({"--file=-", "--", "."}, "/").empty());
  CHECK(again_text({"--", "https://user:token@example.com/repo.git"}, "/").empty());
  CHECK_FALSE(again_text({"--build-context=base=docker-image://alpine@sha256:00", "--", "."}, "/").empty());
  CHECK_FALSE(again_text({"--", "https://example.com/a@b"}, "/").empty());
}

TEST_CASE("texts that are not of a build") {
  for (const char* text : {"", "{}", "[]", R"({"directory": 1, "words": []})", R"({"directory": "/", "words": [1]})"})
    CHECK_FALSE(read_again(text));
}

}  // namespace cbuild::cli
