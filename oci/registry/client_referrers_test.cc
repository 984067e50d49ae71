// SPDX-License-Identifier: Apache-2.0
// Artifacts that name an image: by the API of version 1.1, and by the tag in its place.
#include <doctest/doctest.h>

#include "base/text.h"
#include "oci/manifest.h"
#include "oci/registry/pull_fixture.h"

using namespace cbuild;
using namespace cbuild::oci;
using namespace cbuild::oci::registry;

namespace {

struct ReferrersFixture : PullFixture {
  const Digest subject = sha256(manifest);

  std::string artifact(const std::string& type) {
    Manifest out;
    out.config = descriptor_of("{}");
    out.config.media_type = "application/vnd.oci.empty.v1+json";
    out.artifact_type = type;
    out.subject = descriptor_of(manifest);
    out.subject->media_type = media_type::kManifest;
    out.annotations["of"] = type;
    registry.add_blob("team/app", "{}");
    return to_json(out);
  }
  std::vector<std::string> types() {
    std::vector<std::string> out;
    for (const Descriptor& entry : client().referrers(ref, subject)) out.push_back(entry.artifact_type);
    return out;
  }
  /// Answers the API with an index of what was pushed.
  void add_api() {
    registry.script = [this](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
      if (r.path != cat("/v2/team/app/referrers/", subject.str())) return std::nullopt;
      Index index;
      for (const auto& [name, document] : registry.manifests) {
        const auto parsed = parse_manifest(document.second);
        const auto* found = std::get_if<Manifest>(&parsed);
        if (found == nullptr || !found->subject || name.find("@sha256:") == std::string::npos) continue;
        Descriptor entry = descriptor_of(document.second);
        entry.media_type = document.first;
        entry.artifact_type = found->artifact_type;
        index.manifests.push_back(entry);
      }
      return http::FakeResponse{.headers = {{"Content-Type", index.media_type}}, .body = to_json(index)};
    };
    registry.alter = [](const http::FakeRequest& r, http::FakeResponse& answer) {
      if (r.method == "PUT") answer.headers.emplace_back("OCI-Subject", "sha256:1");
    };
  }
};

}  // namespace

TEST_CASE_FIXTURE(ReferrersFixture, "a registry without the API gets a tag that lists them") {
  CHECK(types().empty());
  for (const char* type : {"test/sig", "test/sbom", "test/sig"})
    CHECK(client().push_referrer(ref, media_type::kManifest, artifact(type)) == sha256(artifact(type)));
  CHECK(types() == std::vector<std::string>{"test/sig", "test/sbom"});
  const auto tagged = registry.manifests.find("team/app@sha256-" + subject.hex());
  REQUIRE(tagged != registry.manifests.end());
  CHECK(std::get<Index>(parse_manifest(tagged->second.second)).manifests[0].annotations.at("of") == "test/sig");
}

TEST_CASE_FIXTURE(ReferrersFixture, "a registry with the API is not given a tag") {
  add_api();
  client().push_referrer(ref, media_type::kManifest, artifact("test/sig"));
  CHECK(types() == std::vector<std::string>{"test/sig"});
  CHECK_FALSE(registry.manifests.contains("team/app@sha256-" + subject.hex()));
}

TEST_CASE_FIXTURE(ReferrersFixture, "other answers of the API") {
  std::string what;
  SUBCASE("a page: the tag is asked") {
    registry.script = [](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
      if (r.path.find("/referrers/") == std::string::npos) return std::nullopt;
      return http::FakeResponse{.headers = {{"Content-Type", "text/html"}}, .body = "<html>"};
    };
    CHECK(types().empty());
  }
  SUBCASE("an index without entries") {
    registry.script = [](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
      if (r.path.find("/referrers/") == std::string::npos) return std::nullopt;
      return http::FakeResponse{.headers = {{"Content-Type", std::string(media_type::kIndex)}}, .body = "{}"};
    };
    CHECK(types().empty());
  }
  SUBCASE("an index that is none") {
    registry.script = [](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
      if (r.path.find("/referrers/") == std::string::npos) return std::nullopt;
      return http::FakeResponse{.headers = {{"Content-Type", std::string(media_type::kIndex)}}, .body = "[]"};
    };
    CHECK(code_of([&] { types(); }) == ErrorCode::corrupt);
  }
  SUBCASE("a manifest without a subject is not pushed") {
    CHECK(code_of([&] { client().push_referrer(ref, media_type::kManifest, manifest); }) == ErrorCode::input);
  }
}
