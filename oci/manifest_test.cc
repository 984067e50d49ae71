// SPDX-License-Identifier: Apache-2.0
// Manifests that BuildKit wrote come back byte for byte; ambiguous and hostile ones are refused.
#include "oci/manifest.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"

using namespace cbuild;
using namespace cbuild::oci;

namespace {

// Documents that BuildKit (2026-08) wrote.
constexpr std::string_view kManifest = R"({
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "sha256:d624121256aa2c1d5d52222427800449340402547e1b4dd5f85716ca2e6c5655",
    "size": 2662
  },
  "layers": [
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "sha256:371fd0f7c28fefc3e5a5f5529d25f09a859184c9724f887eb8ea2817fe7a6fd0",
      "size": 88
    },
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "sha256:797d37fe04ec5fe5cdeb6dcff18070276d38d5aacd7e697960b81f8c581f40c5",
      "size": 140
    }
  ],
  "annotations": {
    "org.x": "y"
  }
})";

constexpr std::string_view kIndex = R"({
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.index.v1+json",
  "manifests": [
    {
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "digest": "sha256:f14831eeed23a03154d20753b52e379005efaf2a0cd81c5a6c3bfa728a4df8f2",
      "size": 705,
      "platform": {
        "architecture": "amd64",
        "os": "linux"
      }
    },
    {
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "digest": "sha256:f5136b166ec336a89d3c39d8947b38fdd63dee996114b5a1431e6659d4dc818a",
      "size": 705,
      "platform": {
        "architecture": "arm64",
        "os": "linux"
      }
    }
  ]
})";

constexpr std::string_view kNoLayers = R"({
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "sha256:205bdffdb8521d02e1714d13a71d849cb237ff593ed2af62fb4f801191a25c81",
    "size": 362
  },
  "layers": null
})";

constexpr std::string_view kLayoutIndex =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":")"
    R"(application/vnd.oci.image.manifest.v1+json","digest":"sha256:d903668cf10bf12b4547f84cfa669d72544320b)"
    R"(560bbfc16de5a4c5e3dd2ea51","size":664,"annotations":{"io.containerd.image.name":"example.com/app:1",)"
    R"("org.opencontainers.image.created":"2023-11-14T22:13:20Z","org.opencontainers.image.ref.name":"1"},")"
    R"(platform":{"architecture":"amd64","os":"linux"}}]})";

constexpr std::string_view kConfig =
    R"({"mediaType":"c","digest":"sha256:d624121256aa2c1d5d52222427800449340402547e1b4dd5f85716ca2e6c5655","size":2})";

Manifest manifest(std::string_view text, std::string_view type = {}) {
  return std::get<Manifest>(parse_manifest(text, type));
}
Index index(std::string_view text) { return std::get<Index>(parse_manifest(text)); }

ErrorCode manifest_code(std::string_view text, std::string_view type = {}) {
  try {
    parse_manifest(text, type);
  } catch (const Error& e) {
    return e.code();
  }
  return ErrorCode::internal;
}

Descriptor entry(std::string_view platform, std::string_view content) {
  Descriptor out;
  out.media_type = media_type::kManifest;
  out.digest = sha256(content);
  if (!platform.empty()) out.platform = parse_platform(platform);
  return out;
}

}  // namespace

TEST_CASE("documents of BuildKit survive byte for byte") {
  CHECK(to_json(manifest(kManifest)) == kManifest);
  CHECK(to_json(manifest(kNoLayers)) == kNoLayers);
  CHECK(to_json(index(kIndex)) == kIndex);
  CHECK(to_compact_json(index(kLayoutIndex)) == kLayoutIndex);
}

TEST_CASE("fields are read") {
  const Manifest image = manifest(kManifest, "application/vnd.oci.image.manifest.v1+json; charset=utf-8");
  CHECK(image.config.size == 2662);
  CHECK(image.layers.size() == 2);
  CHECK(image.layers[1].size == 140);
  CHECK(image.annotations.at("org.x") == "y");
  CHECK(index(kIndex).manifests.at(1).platform->architecture == "arm64");
}

TEST_CASE("every field of a descriptor survives a round trip") {
  Descriptor full = entry("windows(10.0.17763+win32k)/amd64/v2", "x");
  full.size = 1ull << 40;
  full.annotations = {{"a", "<b>"}};
  full.urls = {"https://example.com/x?a=1&b=2"};
  full.artifact_type = "application/x";
  full.data = std::string("\0\xff{}", 4);
  CHECK(
      to_json(full) ==
      cat(R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")", full.digest.str(),
          R"(","size":1099511627776,"urls":["https://example.com/x?a=1\u0026b=2"],"annotations":{"a":"\u003cb\u003e"},)",
          R"("data":"AP97fQ==","platform":{"architecture":"amd64","os":"windows","os.version":"10.0.17763",)",
          R"("os.features":["win32k"],"variant":"v2"},"artifactType":"application/x"})"));
  Manifest image;
  image.artifact_type = "application/y";
  image.config = full;
  image.layers = {full, full};
  image.subject = full;
  image.annotations = {{"k", "v"}};
  CHECK(manifest(to_json(image)) == image);
  Index list;
  list.media_type = media_type::kDockerIndex;
  list.manifests = {full};
  list.subject = full;
  list.annotations = {{"k", ""}};
  CHECK(index(to_json(list)) == list);
  CHECK(index(to_compact_json(list)) == list);
}

TEST_CASE("a document without media type is known by the header, then by its members") {
  const std::string text = cat(R"({"schemaVersion":2,"config":)", kConfig, R"(,"layers":[]})");
  CHECK(manifest(text).media_type == media_type::kManifest);
  CHECK(manifest(text, media_type::kDockerManifest).media_type == media_type::kDockerManifest);
  CHECK(index(R"({"schemaVersion":2,"manifests":null})").media_type == media_type::kIndex);
}

TEST_CASE("documents that could be read in two ways are refused") {
  CHECK(manifest_code(cat(R"({"schemaVersion":2,"manifests":[],"config":)", kConfig, "}")) == ErrorCode::corrupt);
  CHECK(manifest_code(R"({"schemaVersion":2,"manifests":[],"layers":null})") == ErrorCode::corrupt);
  CHECK_THROWS_WITH(parse_manifest(R"({"schemaVersion":2,"manifests":[],"layers":[]})"),
                    doctest::Contains(R"(both "manifests" and "layers")"));
  CHECK(manifest_code(kManifest, media_type::kDockerManifest) == ErrorCode::corrupt);
  CHECK(manifest_code(kIndex, media_type::kManifest) == ErrorCode::corrupt);
  CHECK(manifest_code(R"({"schemaVersion":2,"manifests":[]})", media_type::kManifest) == ErrorCode::corrupt);
  CHECK(manifest_code(cat(R"({"config":)", kConfig, "}"), media_type::kIndex) == ErrorCode::corrupt);
}

TEST_CASE("formats that are not supported are named") {
  CHECK(manifest_code(R"({"schemaVersion":1,"fsLayers":[]})") == ErrorCode::unsupported);
  CHECK(manifest_code("{}", "application/vnd.docker.distribution.manifest.v1+prettyjws") == ErrorCode::unsupported);
  CHECK(manifest_code(R"({"schemaVersion":2,"mediaType":"application/vnd.oci.artifact.manifest.v1+json"})") ==
        ErrorCode::unsupported);
  const std::string sha512 = "sha512:" + std::string(128, 'a');
  CHECK(manifest_code(cat(R"({"manifests":[{"digest":")", sha512, R"(","size":1}]})")) == ErrorCode::unsupported);
}

TEST_CASE("hostile documents are refused") {
  CHECK(manifest_code("") == ErrorCode::corrupt);
  CHECK(manifest_code("[]") == ErrorCode::corrupt);
  CHECK(manifest_code(R"({"schemaVersion":2})") == ErrorCode::corrupt);
  CHECK(manifest_code(R"({"schemaVersion":3,"manifests":[]})") == ErrorCode::corrupt);
  CHECK(manifest_code(R"({"schemaVersion":"2","manifests":[]})") == ErrorCode::corrupt);
  CHECK(manifest_code(R"({"manifests":{}})") == ErrorCode::corrupt);
  CHECK(manifest_code(R"({"manifests":[1]})") == ErrorCode::corrupt);
  CHECK(manifest_code(R"({"manifests":[{"size":1}]})") == ErrorCode::corrupt);
  CHECK(manifest_code(R"({"manifests":[{"digest":"sha256:../../x","size":1}]})") == ErrorCode::corrupt);
  const std::string digest = sha256("x").str();
  for (const std::string_view bad : {R"("size":-1)", R"("size":1.5)", R"("size":"1")", R"("size":99999999999999999999)",
                                     R"("size":1,"data":"!")", R"("size":1,"platform":[])", R"("size":1,"urls":"u")",
                                     R"("size":1,"annotations":{"a":{}})", R"("size":1,"mediaType":7)"}) {
    CAPTURE(bad);
    CHECK(manifest_code(cat(R"({"manifests":[{"digest":")", digest, "\",", bad, "}]}")) == ErrorCode::corrupt);
  }
  CHECK(manifest_code(cat(R"({"manifests":[],"x":")", std::string(4u << 20, 'x'), "\"}")) == ErrorCode::corrupt);
}

TEST_CASE("the entry for a platform") {
  Index list;
  list.manifests = {entry("linux/386", "0"), entry("linux/amd64", "1"), entry("linux/amd64", "2"),
                    entry("linux/arm/v6", "3"), entry("linux/arm/v7", "4")};
  const auto chosen = [&](std::string_view platform) -> const Descriptor* {
    return select_platform(list, parse_platform(platform).value());
  };
  CHECK(chosen("linux/amd64") == &list.manifests[1]);
  CHECK(chosen("linux/386") == &list.manifests[0]);
  CHECK(chosen("linux/arm64") == &list.manifests[4]);
  CHECK(chosen("linux/s390x") == nullptr);
  list.manifests.push_back(entry("", "5"));
  CHECK(chosen("linux/s390x") == &list.manifests[5]);
  CHECK(chosen("linux/amd64") == &list.manifests[1]);
}

TEST_CASE("attestations are never an image") {
  Index list;
  list.manifests = {entry("linux/amd64", "0"), entry("", "1")};
  list.manifests[0].annotations["vnd.docker.reference.type"] = "attestation-manifest";
  list.manifests[1].platform = Platform{"unknown", "unknown", "", "", {}};
  CHECK(select_platform(list, *parse_platform("linux/amd64")) == nullptr);
  CHECK(is_attestation(list.manifests[0]));
  CHECK(is_attestation(list.manifests[1]));
}

TEST_CASE("kinds of media types") {
  CHECK(is_manifest(media_type::kManifest));
  CHECK(is_manifest(media_type::kDockerManifest));
  CHECK_FALSE(is_manifest(media_type::kIndex));
  CHECK(is_index(media_type::kDockerIndex));
  for (const auto type : {media_type::kLayer, media_type::kLayerGzip, media_type::kLayerZstd, media_type::kDockerLayer,
                          media_type::kDockerLayerGzip, media_type::kDockerLayerForeign}) {
    CHECK(is_layer(type));
  }
  CHECK_FALSE(is_layer(media_type::kConfig));
}
