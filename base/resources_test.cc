// SPDX-License-Identifier: Apache-2.0
#include "base/resources.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild {
namespace {

Resources resources(const std::string& text) {
  Resources out;
  if (!text.empty()) add_resources(text, out);
  return out;
}

}  // namespace

TEST_CASE("--resource takes several limits at once") {
  const Resources out = resources(
      "memory=1g,memory-swap=-1,cpu-shares=512,cpu-period=50000,cpu-quota=25000,\"cpuset-cpus=0,2-3\",cpuset-mems=0");
  CHECK(out == Resources{1 << 30, -1, 512, 50'000, 25'000, "0,2-3", "0"});
}

TEST_CASE("wrong resources are usage errors that name the mistake") {
  struct Row {
    const char* text;
    const char* message;
  };
  const Row rows[] = {{"memory", "--resource: 'memory' is not KEY=VALUE"},
                      {"memory=much", "--resource: memory 'much' is not a size"},
                      {"memroy=1g", "--resource: unknown key 'memroy'"},
                      {"cpu-quota=1", "--resource: cpu-quota '1' is not a number from 1000 to 1000000000000"},
                      {"cpuset-cpus=a", "--resource: cpuset-cpus 'a' is not a list such as 0-2,5"},
                      {"memory=2g,memory-swap=1g",
                       "--resource: memory-swap is memory and swap together, it cannot be less than memory"}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK_THROWS_WITH_AS(resources(row.text), row.message, Error);
  }
  try {
    resources("memroy=1g");
  } catch (const Error& error) {
    CHECK(error.hint() == "did you mean memory?");
  }
}

TEST_CASE("the stricter of two limits") {
  struct Row {
    const char *own, *bound, *both;
  };
  const Row rows[] = {{"memory=1g", "memory=2g", "memory=1g"},
                      {"memory=2g", "memory=1g", "memory=1g"},
                      {"memory=2g", "", "memory=2g"},
                      {"", "memory=2g,cpu-quota=50000", "memory=2g,cpu-quota=50000"},
                      {"memory-swap=-1", "memory-swap=3g", "memory-swap=3g,memory=3g"},
                      {"memory=4g", "memory=1g,memory-swap=3g", "memory=1g,memory-swap=3g"},
                      {"memory=4g", "memory-swap=3g", "memory=3g,memory-swap=3g"},
                      {"memory-swap=-1", "memory-swap=-1", "memory-swap=-1"},
                      {"cpu-shares=512", "cpu-shares=1024", "cpu-shares=512"},
                      {"cpu-quota=200000", "cpu-quota=150000", "cpu-quota=150000"},
                      {"cpu-quota=60000,cpu-period=50000", "cpu-quota=100000", "cpu-quota=100000"},
                      {"cpu-quota=40000,cpu-period=50000", "cpu-quota=100000", "cpu-quota=40000,cpu-period=50000"},
                      {"cpuset-cpus=0-3", "cpuset-cpus=1", "cpuset-cpus=1"},
                      {"cpuset-mems=0", "memory=1g", "cpuset-mems=0,memory=1g"}};
  for (const Row& row : rows) {
    CAPTURE(row.own);
    CAPTURE(row.bound);
    CHECK(stricter(resources(row.own), resources(row.bound)) == resources(row.both));
  }
}

TEST_CASE("the looser of two limits") {
  struct Row {
    const char *one, *other, *kept;
  };
  const Row rows[] = {{"memory=1g", "memory=2g", "memory=2g"},
                      {"memory=1g", "", ""},
                      {"memory-swap=-1", "memory-swap=3g", "memory-swap=-1"},
                      {"cpu-shares=512", "cpu-shares=1024", "cpu-shares=1024"},
                      {"cpu-quota=60000,cpu-period=50000", "cpu-quota=100000", "cpu-quota=60000,cpu-period=50000"},
                      {"cpuset-cpus=0", "cpuset-cpus=1", ""},
                      {"cpuset-cpus=0", "cpuset-cpus=0", "cpuset-cpus=0"}};
  for (const Row& row : rows) {
    CAPTURE(row.one);
    CAPTURE(row.other);
    CHECK(looser(resources(row.one), resources(row.other)) == resources(row.kept));
    CHECK(looser(resources(row.other), resources(row.one)) == resources(row.kept));
  }
}

}  // namespace cbuild
