// SPDX-License-Identifier: Apache-2.0
#include "supply/redact.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace cbuild::supply {

TEST_CASE("names and passwords of a URL are masked, other texts stay") {
  CHECK(without_credentials("https://user:pw@h/p?a=b@c") == "https://xxxxx:xxxxx@h/p?a=b@c");
  CHECK(without_credentials("https://token@h/p") == "https://xxxxx@h/p");
  CHECK(without_credentials("https://:pw@h") == "https://:xxxxx@h");
  CHECK(without_credentials("https://a@b:pw@h/p") == "https://xxxxx:xxxxx@h/p");
  for (const char* text : {"https://h/p@q", "git@host:path", "plain", "", "://"})
    CHECK(without_credentials(text) == text);
}

TEST_CASE("hidden texts are replaced wherever they stand") {
  const std::vector<std::string> hidden = {"hunter2", "true", ""};
  CHECK(without_texts("a hunter2, hunter2hunter2; true", hidden) == "a ***, ******; true");
}

}  // namespace cbuild::supply
