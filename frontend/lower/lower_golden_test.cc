// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "frontend/lower/lower_fixture.h"

// Each folder of testdata/lower is a build: Dockerfile, options.json (may be missing) and the result: graph.json and
// config.json, or error.txt. CBUILD_UPDATE_GOLDEN=1 writes the results instead of comparing.
namespace cbuild::frontend {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;
using testing::Build;

const fs::path kCases = fs::path(CBUILD_TESTDATA) / "lower";

std::optional<std::string> read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void load_platform(const OrderedJson& json, const char* key, oci::Platform& platform) {
  if (json.contains(key)) platform = *oci::parse_platform(json[key].get<std::string>());
}

template <typename T>
void load(const OrderedJson& json, const char* key, T& value) {
  if (json.contains(key)) value = json[key].get<T>();
}

void load_options(const OrderedJson& json, LowerOptions& options) {
  load(json, "target", options.target);
  load(json, "build_args", options.build_args);
  load(json, "labels", options.labels);
  load(json, "named_contexts", options.named_contexts);
  load(json, "context", options.context_path);
  load(json, "ignore", options.context_ignore);
  load(json, "no_cache", options.no_cache);
  load(json, "no_cache_filter", options.no_cache_filter);
  load(json, "network", options.network);
  load(json, "allow", options.allow);
  load(json, "extra_hosts", options.extra_hosts);
  load(json, "shm_size", options.shm_size);
  load(json, "cgroup_parent", options.cgroup_parent);
  load(json, "hostname", options.hostname);
  load(json, "multi_platform", options.multi_platform);
  options.platform_given = json.contains("platform");
  load_platform(json, "platform", options.target_platform);
}

/// "images": reference -> a patch for the plain image's config; "files" and "commits": what the network gives.
void load_world(const OrderedJson& json, Build& build) {
  if (json.contains("images")) {
    for (const auto& [reference, patch] : json["images"].items()) {
      OrderedJson config = OrderedJson::parse(oci::to_json(testing::FakeImages::plain_image()));
      config.merge_patch(patch);
      build.images.images[reference] = oci::parse_image_config(config.dump());
    }
  }
  if (json.contains("files") || json.contains("commits")) build.options.callbacks.pinner = &build.pinner;
  const OrderedJson files = json.value("files", OrderedJson::object()),
                    commits = json.value("commits", OrderedJson::object());
  for (const auto& [url, content] : files.items()) {
    build.pinner.files[url] = {sha256(content.get<std::string>()), 1700000000};
  }
  for (const auto& [ref, commit] : commits.items()) {
    build.pinner.commits[ref] = {commit.get<std::string>(), ""};
  }
}

/// Without digests: they change with the canonical form of ops, which these cases are not about.
std::string graph_text(const Lowered& lowered) {
  OrderedJson json =
      OrderedJson::parse(solver::format_graph(lowered.graph, {lowered.target.result}, solver::GraphFormat::json));
  for (OrderedJson& vertex : json["vertices"]) vertex.erase("digest");
  if (!lowered.notes.empty()) json["notes"] = lowered.notes;
  return json.dump(1) + "\n";
}

std::string config_text(const Lowered& lowered) {
  return OrderedJson::parse(oci::to_json(lowered.target.config)).dump(1) + "\n";
}

void compare(const fs::path& path, const std::string& actual) {
  if (std::getenv("CBUILD_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << actual;
    return;
  }
  const std::optional<std::string> expected = read(path);
  REQUIRE_MESSAGE(expected.has_value(), path.string() << " is missing");
  CHECK_MESSAGE(*expected == actual, path.string() << " differs; CBUILD_UPDATE_GOLDEN=1 writes\n" << actual);
}

void check_layers(const Lowered& lowered) {
  const auto& history = lowered.target.config.history;
  const auto first_own = history.begin() + static_cast<std::ptrdiff_t>(lowered.target.base_history);
  const auto own = std::count_if(first_own, history.end(), [](const auto& entry) { return !entry.empty_layer; });
  CHECK(static_cast<std::size_t>(own) == lowered.target.layer_vertices.size());
}

void run_case(const fs::path& folder) {
  CAPTURE(folder.filename().string());
  Build build;
  const OrderedJson options = OrderedJson::parse(read(folder / "options.json").value_or("{}"));
  load_options(options, build.options);
  load_world(options, build);
  const std::string text = read(folder / "Dockerfile").value();
  if (const std::string problem = build.error(text); !problem.empty()) {
    CHECK_FALSE_MESSAGE(fs::exists(folder / "graph.json"), problem);
    compare(folder / "error.txt", problem);
    return;
  }
  CHECK_FALSE(fs::exists(folder / "error.txt"));
  const Lowered lowered = build.run(text);
  check_layers(lowered);
  compare(folder / "graph.json", graph_text(lowered));
  compare(folder / "config.json", config_text(lowered));
}

TEST_CASE("golden cases of lowering") {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(kCases)) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  CHECK(folders.size() >= 40);
  for (const fs::path& folder : folders) run_case(folder);
}

}  // namespace
}  // namespace cbuild::frontend
