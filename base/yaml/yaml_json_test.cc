// SPDX-License-Identifier: Apache-2.0
#include "base/yaml/yaml_json.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace cbuild::yaml {

using Json = nlohmann::json;

TEST_CASE("YAML as JSON") {
  CHECK(yaml_to_json("a: 1\nb: [x, 'y', \"z\"]\nc:\n  d: true\n  e: ~\n") ==
        Json::parse(R"({"a":1,"b":["x","y","z"],"c":{"d":true,"e":null}})"));
  CHECK(yaml_to_json(R"({"a": [1, "2", false, null]})") == Json::parse(R"({"a":[1,"2",false,null]})"));
  CHECK(yaml_to_json("") == Json());
}

TEST_CASE("plain scalars") {
  struct Row {
    const char* text;
    Json value;
  };
  const Row rows[] = {
      {"0666", 0666}, {"0o17", 15},          {"0x1F", 31},   {"-5", -5},         {"+7", 7},      {"0", 0},
      {"08", "08"},   {"1.5", "1.5"},        {"--1", "--1"}, {"'0666'", "0666"}, {"1e3", "1e3"}, {"True", true},
      {"yes", "yes"}, {"FOO=bar", "FOO=bar"}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(yaml_to_json(row.text) == row.value);
  }
}

TEST_CASE("aliases are followed, but not for ever") {
  CHECK(yaml_to_json("a: &x [1]\nb: *x\n") == Json::parse(R"({"a":[1],"b":[1]})"));
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += (j == 0 ? "" : ",") + before;
    bomb += "]\n";
  }
  CHECK_THROWS_AS(yaml_to_json(bomb), Error);
  CHECK_THROWS_AS(yaml_to_json(std::string(100, '[') + std::string(100, ']')), Error);
}

TEST_CASE("mistakes in YAML are named with their place") {
  CHECK_THROWS_WITH_AS(yaml_to_json("a: 1\nb: [x\n"), doctest::Contains("line 3"), Error);
  CHECK_THROWS_WITH_AS(yaml_to_json("a: 1\na: 2\n"), doctest::Contains("key a is there twice"), Error);
  CHECK_THROWS_AS(yaml_to_json("? [a]\n: b\n"), Error);
}

}  // namespace cbuild::yaml
