// SPDX-License-Identifier: Apache-2.0
#include "exporter/engine_layers.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/http/fake_server.h"
#include "base/text.h"
#include "oci/image_config.h"

namespace cbuild::exporter {
namespace {

/// An engine with images of given layers, and an image of three layers.
struct EngineFixture {
  std::string name = "Engine", driver = "overlay2";
  std::vector<std::vector<std::string>> stacks;
  http::FakeServer server{[this](const http::FakeRequest& request) { return answer(request); }};
  ImageSet images;

  EngineFixture() {
    BuiltImage image;
    std::string ids;
    for (const char* text : {"a", "b", "c"}) {
      oci::Descriptor layer;
      layer.digest = sha256(cat("blob ", text));
      image.content.layers.push_back(layer);
      ids += cat(ids.empty() ? "" : ",", "\"", sha256(text).str(), "\"");
    }
    image.config_json =
        cat(R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[)", ids, "]}}");
    images.manifests.push_back(std::move(image));
  }

  http::FakeResponse answer(const http::FakeRequest& request) const {
    if (request.path == "/version") return {.body = cat(R"({"Components":[{"Name":")", name, R"("}]})")};
    if (request.path == "/info") return {.body = cat(R"({"DriverStatus":[["driver-type",")", driver, R"("]]})")};
    if (request.path == "/images/json") {
      std::string out;
      for (std::size_t i = 0; i < stacks.size(); ++i)
        out += cat(i == 0 ? "" : ",", R"({"Id":")", sha256(std::to_string(i)).str(), R"("})");
      return {.body = "[" + out + "]"};
    }
    for (std::size_t i = 0; i < stacks.size(); ++i)
      if (request.path == cat("/images/", sha256(std::to_string(i)).str(), "/json"))
        return {.body = cat(R"({"RootFS":{"Layers":[)", join(stacks[i], ","), "]}}")};
    return {.status = 404, .body = R"({"message":"no such image"})"};
  }
  static std::string id(const char* text) { return cat("\"", sha256(text).str(), "\""); }
  std::set<Digest> present() {
    EngineApi engine({cat("tcp://", server.authority()), {}, false, "test"}, nullptr);
    return layers_in_engine(engine, images);
  }
};

TEST_CASE_FIXTURE(EngineFixture, "the longest beginning that an image of the engine has is left out") {
  CHECK(present().empty());
  stacks = {{id("b"), id("a")}, {id("a"), id("c")}, {id("a"), id("b"), id("x")}};
  CHECK(present() == std::set<Digest>{sha256("blob a"), sha256("blob b")});
  SUBCASE("but a blob that is needed further up is not") {
    images.manifests[0].content.layers[2] = images.manifests[0].content.layers[0];
    CHECK(present() == std::set<Digest>{sha256("blob b")});
  }
  SUBCASE("Podman gets all") {
    name = "Podman Engine";
    CHECK(present().empty());
  }
  SUBCASE("an image store by manifests gets all") {
    driver = "io.containerd.snapshotter.v1";
    CHECK(present().empty());
  }
}

TEST_CASE_FIXTURE(EngineFixture, "an engine that is not there, and one that answers nonsense, are named") {
  const auto refusal = [&](const std::string& url) -> std::string {
    try {
      EngineApi engine({url, {}, false, "DOCKER_HOST"}, nullptr);
      engine.get("/nothing");
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  const std::string url = cat("tcp://", server.authority());
  CHECK(refusal(url) == cat("engine at ", url, " (DOCKER_HOST): HTTP 404: no such image"));
  CHECK(refusal("unix:///nowhere/sock").starts_with("engine at unix:///nowhere/sock (DOCKER_HOST): "));
  CHECK(refusal("npipe://x") == "invalid engine address npipe://x (DOCKER_HOST)");
  CHECK(refusal("ssh://-oProxyCommand=x/").starts_with("invalid engine address"));
}

}  // namespace
}  // namespace cbuild::exporter
