// SPDX-License-Identifier: Apache-2.0
#include "supply/provenance.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::supply {
namespace {

using TestJson = nlohmann::ordered_json;

Provenance example() {
  Provenance out;
  out.materials = {{"pkg:docker/busybox@latest?platform=linux%2Famd64", {{"sha256", "ab"}}}};
  out.dockerfile = "Dockerfile";
  out.dockerfile_text = "FROM busybox\nRUN x\n";
  out.args = {{"build-arg:V", "2"}, {"label:l", "1"}, {"target", "t"}};
  out.secrets = {{"tok", true}, {"key", false}};
  out.locals = {"context", "dockerfile"};
  out.all_materials = false;
  out.network = true;
  out.builder_platform = "linux/amd64";
  out.builder_version = "0.1.0";
  out.invocation_id = "id7";
  out.started_ns = 1'000'000'000;
  out.finished_ns = 2'500'000'000;
  oci::Descriptor layer;
  layer.media_type = "m";
  layer.digest = sha256("layer");
  layer.size = 9;
  out.steps = {{"sha256:aa", {}, R"({"Op":{"source":{}}})", {}, {layer}},
               {"sha256:bb", {"step0:0"}, R"({"Op":{"exec":{"meta":{"env":["V=2"]}}}})", {{2, 2}}, {}},
               {"sha256:cc", {"step1:0"}, R"({"Op":{}})", {}, {}}};
  return out;
}

TestJson predicate(const Provenance& provenance, const ProvenanceSettings& settings) {
  return TestJson::parse(to_predicate(provenance, settings));
}

}  // namespace

TEST_CASE("the least provenance has neither arguments, secrets nor steps") {
  ProvenanceSettings settings;
  settings.max = false;
  CHECK(to_predicate(example(), settings) ==
        R"({"buildDefinition":{"buildType":)"
        R"("https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",)"
        R"("resolvedDependencies":[{"uri":"pkg:docker/busybox@latest?platform=linux%2Famd64",)"
        R"("digest":{"sha256":"ab"}}],"externalParameters":{"configSource":{"path":"Dockerfile"},)"
        R"("request":{"frontend":"dockerfile.v0","args":{"target":"t"},)"
        R"("locals":[{"name":"context"},{"name":"dockerfile"}]}},)"
        R"("internalParameters":{"builderPlatform":"linux/amd64"}},)"
        R"("runDetails":{"builder":{"id":"","version":{"cbuild":"0.1.0"}},"metadata":{"invocationId":"id7",)"
        R"("startedOn":"1970-01-01T00:00:01Z","finishedOn":"1970-01-01T00:00:02.5Z","buildkit_metadata":{},)"
        R"("buildkit_completeness":{"request":false,"resolvedDependencies":false}}}})");
}

TEST_CASE("the whole provenance has arguments, secrets by name, steps with their lines, layers and the Dockerfile") {
  const TestJson json = predicate(example(), {});
  const TestJson& definition = json.at("buildDefinition");
  const TestJson& request = definition.at("externalParameters").at("request");
  CHECK(request.at("args").at("build-arg:V") == "2");
  CHECK(request.at("args").at("label:l") == "1");
  CHECK(request.at("secrets").dump() == R"([{"id":"tok","optional":true},{"id":"key"}])");
  const TestJson& config = definition.at("internalParameters").at("buildConfig");
  CHECK(config.at("digestMapping").at("sha256:bb") == "step1");
  CHECK(config.at("llbDefinition").at(1).dump() ==
        R"({"id":"step1","op":{"Op":{"exec":{"meta":{"env":["V=2"]}}}},"inputs":["step0:0"]})");
  const TestJson& metadata = json.at("runDetails").at("metadata");
  CHECK(metadata.at("buildkit_completeness").at("request") == true);
  const TestJson& additions = metadata.at("buildkit_metadata");
  CHECK(additions.at("source").at("locations").dump() ==
        R"({"step0":{},"step1":{"locations":[{"ranges":[{"start":{"line":2},"end":{"line":2}}]}]}})");
  CHECK(base64_decode(additions.at("source").at("infos").at(0).at("data").get<std::string>()) ==
        "FROM busybox\nRUN x\n");
  CHECK(additions.at("layers").at("step0:0").at(0).at(0).at("digest") == sha256("layer").str());
}

TEST_CASE("version 0.2 has the same values in other places") {
  ProvenanceSettings settings;
  settings.version = SlsaVersion::v0_2;
  settings.builder_id = "https://b";
  settings.reproducible = true;
  Provenance from = example();
  from.vcs = {{"revision", "abc"}};
  from.config_source = {"https://h/r.git#main", {{"sha1", "cd"}}};
  const TestJson json = predicate(from, settings);
  CHECK(json.at("builder").at("id") == "https://b");
  CHECK(json.at("buildType") == "https://mobyproject.org/buildkit@v1");
  CHECK(json.at("materials").size() == 1);
  const TestJson& invocation = json.at("invocation");
  CHECK(invocation.at("configSource").dump() ==
        R"({"uri":"https://h/r.git#main","digest":{"sha1":"cd"},"entryPoint":"Dockerfile"})");
  CHECK(invocation.at("parameters").at("args").at("build-arg:V") == "2");
  CHECK(invocation.at("environment").at("platform") == "linux/amd64");
  CHECK(json.at("buildConfig").at("llbDefinition").size() == 3);
  const TestJson& metadata = json.at("metadata");
  CHECK(metadata.at("reproducible") == true);
  CHECK(metadata.at("completeness").dump() == R"({"parameters":true,"environment":true,"materials":false})");
  CHECK(metadata.at("https://mobyproject.org/buildkit@v1#metadata").at("vcs").at("revision") == "abc");
  CHECK(predicate_type(settings.version) == "https://slsa.dev/provenance/v0.2");
}

TEST_CASE("a build is hermetic if all its sources have digests and no step has a network") {
  Provenance from = example();
  from.all_materials = true;
  CHECK_FALSE(predicate(from, {}).at("runDetails").at("metadata").contains("buildkit_hermetic"));
  from.network = false;
  CHECK(predicate(from, {}).at("runDetails").at("metadata").at("buildkit_hermetic") == true);
}

TEST_CASE("complete materials that were asked for are needed") {
  ProvenanceSettings settings;
  settings.complete_materials = true;
  Provenance from = example();
  CHECK_THROWS_AS(to_predicate(from, settings), Error);
  from.all_materials = true;
  CHECK_NOTHROW(to_predicate(from, settings));
}

TEST_CASE("hidden texts are nowhere in a predicate") {
  Provenance from = example();
  from.hidden = {"hunter2"};
  from.args["build-arg:OTHER"] = "x-hunter2";
  from.dockerfile_text = "ARG TOKEN=hunter2\n";
  from.vcs = {{"source", "https://h/hunter2"}};
  from.steps[1].op = R"({"Op":{"exec":{"meta":{"env":["T=hunter2"],"args":["echo hunter2"]}}}})";
  from.all_args = false;
  const TestJson json = predicate(from, {});
  CHECK(json.dump().find("hunter2") == std::string::npos);
  CHECK(json.at("runDetails").at("metadata").at("buildkit_completeness").at("request") == false);
  const TestJson& info = json.at("runDetails").at("metadata").at("buildkit_metadata").at("source").at("infos").at(0);
  CHECK(base64_decode(info.at("data").get<std::string>()) == "ARG TOKEN=***\n");
}

TEST_CASE("a metadata file has version 0.2, by default without steps and times") {
  ProvenanceSettings settings;
  settings.max = false;
  const TestJson least = TestJson::parse(to_metadata(example(), settings, false));
  CHECK_FALSE(least.contains("metadata"));
  CHECK_FALSE(least.contains("buildConfig"));
  CHECK(least.at("invocation").at("parameters").at("args").at("build-arg:V") == "2");
  CHECK(TestJson::parse(to_metadata(example(), settings, true)).at("buildConfig").at("llbDefinition").size() == 3);
}

}  // namespace cbuild::supply
