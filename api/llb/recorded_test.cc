// SPDX-License-Identifier: Apache-2.0
// Definitions as BuildKit's own client writes them (testdata/llb/NAME.pb), as graphs (NAME.json).
// CBUILD_UPDATE_GOLDEN=1 writes the graphs instead of comparing.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/llb/llb_fixture.h"

namespace cbuild::api {
namespace {

namespace fs = std::filesystem;

std::string read_recorded(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST_CASE("definitions of BuildKit's client") {
  std::vector<fs::path> recorded;
  for (const auto& entry : fs::directory_iterator(fs::path(CBUILD_TESTDATA) / "llb"))
    if (entry.path().extension() == ".pb") recorded.push_back(entry.path());
  std::sort(recorded.begin(), recorded.end());
  REQUIRE(recorded.size() >= 6);
  for (const fs::path& path : recorded) {
    CAPTURE(path);
    pb::Definition definition;
    REQUIRE(definition.ParseFromString(read_recorded(path)));
    Lowered lowered;
    CHECK(lowered.refusal(definition).empty());
    const auto& targets = lowered.targets;
    const std::string graph =
        solver::format_graph(targets.graph, {targets.targets.at(0).result}, solver::GraphFormat::json);
    fs::path golden = path;
    golden.replace_extension(".json");
    if (std::getenv("CBUILD_UPDATE_GOLDEN") != nullptr)
      std::ofstream(golden, std::ios::binary) << graph;
    else
      CHECK(graph == read_recorded(golden));
  }
}

}  // namespace
}  // namespace cbuild::api
