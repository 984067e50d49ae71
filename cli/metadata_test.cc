// SPDX-License-Identifier: Apache-2.0
#include "cli/metadata.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::json;

engine::BuildResult built(const std::vector<std::string>& names) {
  engine::BuildResult result;
  for (const std::string& name : names) {
    engine::TargetImage& image = result.images.emplace_back();
    image.target = name;
    image.manifest.digest = sha256(name);
  }
  return result;
}

BuildLine with_warnings() {
  BuildLine line;
  line.metadata_warnings = true;
  return line;
}

Diagnostic finding_in(const std::string& text) {
  const auto source = std::make_shared<const SourceText>("Dockerfile", text);
  return {
      Severity::warning, {source, text.find('\n') + 1, text.size() - 1}, "it is a b\nad", "", "MaintainerDeprecated"};
}

}  // namespace

TEST_CASE("the metadata file names the build and the findings of its checks") {
  engine::BuildResult result = built({""});
  result.id = "id7";
  result.findings = {finding_in("FROM a\nMAINTAINER b \\\n c\n")};
  Json json = Json::parse(metadata_json({}, result));
  CHECK(json.at("buildx.build.ref") == "cbuild/cbuild/id7");
  CHECK_FALSE(json.contains("buildx.build.warnings"));
  json = Json::parse(metadata_json(with_warnings(), result));
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
  BuildLine line;
  std::vector<exporter::Output>& outputs = line.request.outputs.list;
  outputs.resize(2);
  outputs[0].names = {"a:1", "b:1"};
  outputs[1].target = "other";
  outputs[1].names = {"c:1"};
  engine::BuildResult result = built({""});
  result.images[0].config.digest = sha256("config");
  const Json json = Json::parse(metadata_json(line, result));
  CHECK(json.at("containerimage.digest") == sha256("").str());
  CHECK(json.at("containerimage.config.digest") == sha256("config").str());
  CHECK(json.at("containerimage.descriptor").at("digest") == sha256("").str());
  CHECK(json.at("image.name") == "a:1,b:1");
}

TEST_CASE("names in the metadata file are those that BuildKit's exporters tell") {
  BuildLine line;
  line.request.outputs.list = {exporter::parse_output("type=oci,dest=x,name=a:1", false),
                               exporter::parse_output("type=docker,dest=y,name=a:1", false),
                               exporter::parse_output("type=image,name=b,dangling-name-prefix=p", false)};
  engine::BuildResult result = built({""});
  oci::Descriptor& cache = result.cache_manifest.emplace();
  cache.media_type = "m";
  cache.digest = sha256("cache");
  const Json json = Json::parse(metadata_json(line, result));
  CHECK(json.at("image.name") == cat("docker.io/library/a:1,b,p@", sha256("").str()));
  CHECK(Json::parse(json.at("cache.manifest").get<std::string>()).at("digest") == sha256("cache").str());
}

TEST_CASE("the metadata file has the provenance, and an index in the place of a manifest") {
  BuildLine line;
  line.request.outputs.attestations.provenance.emplace();
  engine::BuildResult result = built({""});
  engine::TargetImage& image = result.images[0];
  supply::Provenance provenance;
  provenance.builder_platform = "linux/amd64";
  image.provenances = {{"", std::make_shared<const supply::Provenance>(provenance)}};
  image.manifest.media_type = std::string(oci::media_type::kIndex);
  image.manifest.digest = sha256("index");
  Json json = Json::parse(metadata_json(line, result));
  CHECK(json.at("containerimage.digest") == sha256("index").str());
  CHECK_FALSE(json.contains("containerimage.config.digest"));
  CHECK(json.at("buildx.build.provenance").at("invocation").at("environment").at("platform") == "linux/amd64");
  CHECK_FALSE(json.at("buildx.build.provenance").contains("metadata"));
  line.metadata_provenance = MetadataProvenance::max;
  CHECK(Json::parse(metadata_json(line, result)).at("buildx.build.provenance").contains("metadata"));
  line.metadata_provenance = MetadataProvenance::none;
  CHECK_FALSE(Json::parse(metadata_json(line, result)).contains("buildx.build.provenance"));
  line.metadata_provenance = MetadataProvenance::min;
  line.request.outputs.attestations.provenance.reset();  // --provenance=false is about images
  CHECK(Json::parse(metadata_json(line, result)).contains("buildx.build.provenance"));
}

TEST_CASE("the metadata file has a provenance for each platform") {
  BuildLine line;
  line.request.outputs.attestations.provenance.emplace();
  engine::BuildResult result = built({""});
  result.images[0].manifest.media_type = std::string(oci::media_type::kIndex);
  for (const char* platform : {"linux/amd64", "linux/arm64"})
    result.images[0].provenances.push_back({platform, std::make_shared<const supply::Provenance>()});
  const Json json = Json::parse(metadata_json(line, result));
  CHECK(json.contains("buildx.build.provenance/linux/amd64"));
  CHECK(json.contains("buildx.build.provenance/linux/arm64"));
  CHECK_FALSE(json.contains("buildx.build.provenance"));
  CHECK_FALSE(json.contains("containerimage.config.digest"));
}

TEST_CASE("several targets are objects by name, the warnings are once") {
  engine::BuildResult result = built({"a", "b"});
  result.findings = {finding_in("F\nM\n")};
  const Json json = Json::parse(metadata_json(with_warnings(), result));
  CHECK(json.at("a").at("containerimage.digest") == sha256("a").str());
  CHECK(json.at("b").at("containerimage.digest") == sha256("b").str());
  CHECK_FALSE(json.at("a").contains("buildx.build.ref"));
  CHECK(json.at("buildx.build.warnings").size() == 1);
  CHECK_FALSE(Json::parse(metadata_json(with_warnings(), built({"a", "b"}))).contains("buildx.build.warnings"));
}

}  // namespace cbuild::cli
