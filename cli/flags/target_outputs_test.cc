// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/target_outputs.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::cli {
namespace {

using exporter::Output;
using exporter::OutputType;
using Names = std::vector<std::string>;

std::vector<Output> spread(const Names& outputs, const Names& tags, const Names& targets) {
  std::vector<Output> parsed;
  for (const std::string& output : outputs) parsed.push_back(exporter::parse_output(output, false));
  return spread_outputs(parsed, tags, targets, exporter::parse_output("type=image", false));
}

}  // namespace

TEST_CASE("--target takes several stages, each once") {
  CHECK(parse_targets({}) == Names{""});
  CHECK(parse_targets({""}) == Names{""});
  CHECK(parse_targets({"b", "a,c", "B"}) == Names{"b", "a", "c"});
  CHECK_THROWS_WITH_AS(parse_targets({"a,,b"}), "--target: 'a,,b' has an empty name", Error);
  CHECK_THROWS_AS(parse_targets({"a", ""}), Error);
}

TEST_CASE("an output for one target goes to that one, others to each") {
  const auto outputs =
      spread({"type=oci,dest=a.tar,target=A", "type=local,dest=out", "type=tar,dest={target}.tar"}, {}, {"a", "b"});
  REQUIRE(outputs.size() == 5);
  CHECK(outputs[0].target == "a");
  CHECK(outputs[0].dest == "a.tar");
  CHECK(outputs[1].dest == "out/a");
  CHECK(outputs[2].dest == "a.tar");
  CHECK(outputs[3].target == "b");
  CHECK(outputs[3].dest == "out/b");
  CHECK(outputs[4].dest == "b.tar");
}

TEST_CASE("one target keeps its destination") {
  CHECK(spread({"out"}, {}, {"a"})[0].dest == "out");
  CHECK(spread({"out/{target}"}, {}, {"a"})[0].dest == "out/a");
  CHECK(spread({"out/{target}"}, {}, {""})[0].dest == "out/{target}");
}

TEST_CASE("tags name targets") {
  const auto outputs = spread({}, {"A=r/x:1", "r/{target}:2", "b=r/y"}, {"a", "b"});
  REQUIRE(outputs.size() == 2);
  CHECK(outputs[0].type == OutputType::image);
  CHECK(outputs[0].names == Names{"r/x:1", "r/a:2"});
  CHECK(outputs[1].names == Names{"r/b:2", "r/y"});
  CHECK(spread({}, {"x"}, {"a"})[0].names == Names{"x"});
  CHECK(spread({}, {"x"}, {""})[0].names == Names{"x"});
  CHECK(spread({"type=image,name=n-{target}"}, {}, {"a", "b"})[1].names == Names{"n-b"});
}

TEST_CASE("-t takes the place of name=, for the targets that have one") {
  const auto outputs = spread({"type=image,name=n-{target}"}, {"a=r/x:1"}, {"a", "b"});
  CHECK(outputs[0].names == Names{"r/x:1"});
  CHECK(outputs[0].replaced_names == Names{"n-a"});
  CHECK(outputs[1].names == Names{"n-b"});
  CHECK(outputs[1].replaced_names.empty());
}

TEST_CASE("outputs that cannot be told apart are refused") {
  struct Row {
    Names outputs, tags, targets;
    const char* message;
  };
  const Row rows[] = {
      {{}, {"x"}, {"a", "b"}, "-t x would name 2 targets"},
      {{}, {"c=x"}, {"a", "b"}, "-t: no --target c is built"},
      {{}, {"a=x"}, {""}, "-t: no --target a is built"},
      {{"type=oci,dest=f,target=c"}, {}, {"a", "b"}, "--output: no --target c is built"},
      {{"type=oci,dest=f"}, {}, {"a", "b"}, "--output f would hold both target a and b"},
      {{"type=oci,target=a", "type=oci,target=b"}, {}, {"a", "b"}, "--output to stdout would hold both target a and b"},
      {{"type=oci", "type=tar"}, {}, {""}, "--output: stdout is named twice"},
      {{"type=image,name=n"}, {}, {"a", "b"}, "the name n would hold both target a and b"},
      {{}, {"a=n", "b=n"}, {"a", "b"}, "the name n would hold both target a and b"}};
  for (const Row& row : rows) {
    CAPTURE(row.message);
    CHECK_THROWS_WITH_AS(spread(row.outputs, row.tags, row.targets), row.message, Error);
  }
}

}  // namespace cbuild::cli
