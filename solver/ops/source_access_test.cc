// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/source_access.h"

#include <doctest/doctest.h>

namespace cbuild::solver::ops {
namespace {

TEST_CASE("users, hosts and what is shown of a URL") {
  CHECK(user_info("https://u:p@h:8/x") == "u:p");
  CHECK(user_info("https://h/x@y") == "");
  CHECK(user_info("git@h:x") == "");
  CHECK(without_user_info("https://u:p@h:8/x?q#f") == "https://h:8/x?q#f");
  CHECK(without_user_info("https://u@h") == "https://h");
  CHECK(without_user_info("https://h/a@b") == "https://h/a@b");
  CHECK(without_user_info("git@h:x") == "git@h:x");
  CHECK(host_of("https://u:p@h.example:8/x", false) == "h.example");
  CHECK(host_of("https://u:p@h.example:8/x", true) == "h.example:8");
  CHECK(host_of("http://[::1]:80/x", false) == "[::1]");
  CHECK(host_of("git@h.example:path", false) == "h.example");
  CHECK(shown_url("https://u:p@h/x?token=abc&flag#main:sub") == "https://h/x?token=***&flag#main:sub");
  CHECK(shown_url("https://h/x") == "https://h/x");
}

}  // namespace
}  // namespace cbuild::solver::ops
