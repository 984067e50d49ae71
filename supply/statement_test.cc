// SPDX-License-Identifier: Apache-2.0
#include "supply/statement.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::supply {

TEST_CASE("a statement names its subjects and carries the predicate") {
  CHECK(to_statement("https://a/b", {{"n", {{"sha256", "00"}}}}, R"({"b":1,"a":2})") ==
        R"({"_type":"https://in-toto.io/Statement/v1","predicateType":"https://a/b",)"
        R"("subject":[{"name":"n","digest":{"sha256":"00"}}],"predicate":{"b":1,"a":2}})");
  CHECK(to_statement("t", {}, "{}", true) ==
        "{\n  \"_type\": \"https://in-toto.io/Statement/v1\",\n  \"predicateType\": \"t\",\n  \"subject\": [],\n"
        "  \"predicate\": {}\n}");
  CHECK_THROWS_AS(to_statement("t", {}, "{"), Error);
}

}  // namespace cbuild::supply
