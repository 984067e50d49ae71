// SPDX-License-Identifier: Apache-2.0
#include "base/words.h"

#include <doctest/doctest.h>

using namespace cbuild;

namespace {
enum class Fruit { apple, pear, plum };
constexpr Word<Fruit> kFruits[] = {{"apple", Fruit::apple}, {"pear", Fruit::pear}};
}  // namespace

TEST_CASE("booleans are the words of Go's ParseBool, and no others") {
  for (const char* text : {"1", "t", "T", "true", "TRUE", "True"}) CHECK(parse_bool(text) == true);
  for (const char* text : {"0", "f", "F", "false", "FALSE", "False"}) CHECK(parse_bool(text) == false);
  for (const char* text : {"", "yes", "no", "tRUE", " true", "2", "on"}) CHECK(parse_bool(text) == std::nullopt);
}

TEST_CASE("words stand for values, both ways, and a wrong one is answered with the nearest or all") {
  CHECK(find_word(kFruits, "pear") == Fruit::pear);
  CHECK(find_word(kFruits, "Pear") == std::nullopt);
  CHECK(word_for(kFruits, Fruit::apple) == "apple");
  CHECK(word_for(kFruits, Fruit::plum).empty());
  CHECK(word_hint("aple", names_of(kFruits), "fruits") == "did you mean apple?");
  CHECK(word_hint("stone", names_of(kFruits), "fruits") == "fruits: apple, pear");
}
