// SPDX-License-Identifier: Apache-2.0
#include "bake/hcl/functions.h"

#include <doctest/doctest.h>

#include "bake/hcl/letters.h"

namespace cbuild::bake::hcl {
namespace {

Value call(const std::string& name, Values arguments) {
  const Function* function = find_function(name);
  REQUIRE(function != nullptr);
  return call_function(*function, std::move(arguments));
}

TEST_CASE("all functions of buildx are there") { CHECK(function_names().size() == 106); }

TEST_CASE("random values have their form") {
  const Value a = call("uuidv4", {}), b = call("uuidv4", {});
  CHECK_FALSE(a == b);
  CHECK(a.as_string().size() == 36);
  CHECK(a.as_string()[14] == '4');
  CHECK(call("regex", {Value::string("^[89ab]$"), Value::string(a.as_string().substr(19, 1))}).as_string().size() == 1);
  const std::string hash = call("bcrypt", {Value::string("secret"), Value::number(4)}).as_string();
  CHECK(hash.starts_with("$2a$04$"));
  CHECK(hash.size() == 60);
  CHECK(call("timestamp", {}).as_string().size() == 20);
  CHECK_FALSE(call("homedir", {}).as_string().empty());
}

TEST_CASE("patterns that are not RE2's are refused") {
  for (const char* pattern : {"(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", "(a)\\1", "(", "[", "a\\"}) {
    CAPTURE(pattern);
    CHECK_THROWS_AS(call("regex", {Value::string(pattern), Value::string("a")}), ValueError);
  }
}

TEST_CASE("characters with marks are one") {
  CHECK(characters("e\xcc\x81x").size() == 2);
  CHECK(characters("\xff\xfe").size() == 2);
  CHECK(upper_case("\xc4\x80\xc5\xbe") == "\xc4\x80\xc5\xbd");
}

}  // namespace
}  // namespace cbuild::bake::hcl
