// SPDX-License-Identifier: Apache-2.0
#include "cli/metadata.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::json;

std::vector<TargetResult> built(const std::vector<std::string>& names) {
  std::vector<TargetResult> targets;
  for (const std::string& name : names) {
    TargetResult target;
    target.name = name;
    target.image.emplace();
    target.image->manifest.digest = sha256(name);
    targets.push_back(std::move(target));
  }
  return targets;
}

Diagnostic finding_in(const std::string& text) {
  const auto source = std::make_shared<const SourceText>("Dockerfile", text);
  return {
      Severity::warning, {source, text.find('\n') + 1, text.size() - 1}, "it is a b\nad", "", "MaintainerDeprecated"};
}

}  // namespace

TEST_CASE("the metadata file names the build and the findings of its checks") {
  BuildLine options;
  const MetadataFacts facts{"id7", {finding_in("FROM a\nMAINTAINER b \\\n c\n")}};
  Json json = Json::parse(metadata_json(options, built({""}), facts));
  CHECK(json.at("buildx.build.ref") == "cbuild/cbuild/id7");
  CHECK_FALSE(json.contains("buildx.build.warnings"));
  options.metadata_warnings = true;
  json = Json::parse(metadata_json(options, built({""}), facts));
  const Json& warning = json.at("buildx.build.warnings").at(0);
  CHECK(base64_decode(warning.at("short").get<std::string>()) == "MaintainerDeprecated: it is a b^Jad (line 2)");
  CHECK(warning.at("level") == 1);
  CHECK(base64_decode(warning.at("detail").at(0).get<std::string>())->find("MAINTAINER") != std::string::npos);
  CHECK(warning.at("url").get<std::string>().ends_with("/maintainer-deprecated/"));
  CHECK(warning.at("sourceInfo").at("filename") == "Dockerfile");
  CHECK(base64_decode(warning.at("sourceInfo").at("data").get<std::string>())->starts_with("FROM a\n"));
  CHECK(warning.at("range") == Json::parse(R"([{"start": {"line": 2}, "end": {"line": 3}}])"));
}

TEST_CASE("the metadata file has the digests and names of an image") {
  BuildLine options;
  options.request.outputs.list.resize(2);
  options.request.outputs.list[0].names = {"a:1", "b:1"};
  options.request.outputs.list[1].target = "other";
  options.request.outputs.list[1].names = {"c:1"};
  std::vector<TargetResult> targets = built({""});
  targets[0].image->config.digest = sha256("config");
  const Json json = Json::parse(metadata_json(options, targets, {}));
  CHECK(json.at("containerimage.digest") == sha256("").str());
  CHECK(json.at("containerimage.config.digest") == sha256("config").str());
  CHECK(json.at("containerimage.descriptor").at("digest") == sha256("").str());
  CHECK(json.at("image.name") == "a:1,b:1");
}

TEST_CASE("several targets are objects by name, the warnings are once") {
  BuildLine options;
  options.metadata_warnings = true;
  const Json json = Json::parse(metadata_json(options, built({"a", "b"}), {"", {finding_in("F\nM\n")}}));
  CHECK(json.at("a").at("containerimage.digest") == sha256("a").str());
  CHECK(json.at("b").at("containerimage.digest") == sha256("b").str());
  CHECK_FALSE(json.at("a").contains("buildx.build.ref"));
  CHECK(json.at("buildx.build.warnings").size() == 1);
  CHECK_FALSE(Json::parse(metadata_json(options, built({"a", "b"}), {})).contains("buildx.build.warnings"));
}

}  // namespace cbuild::cli
