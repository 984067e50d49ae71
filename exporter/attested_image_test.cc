// SPDX-License-Identifier: Apache-2.0
// Attestations in each form of output: next to an image in an index, as a referrer, as files.
#include "exporter/attested_image.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/sys.h"
#include "exporter/archive.h"
#include "exporter/attestation_files.h"
#include "exporter/files_tar.h"
#include "exporter/local_output.h"
#include "exporter/push.h"
#include "exporter/test_support.h"
#include "oci/layout.h"
#include "oci/registry/fake_registry.h"

namespace cbuild::exporter {
namespace {

using namespace testing;
using AttestedJson = nlohmann::json;

struct AttestedBench : Workshop {
  oci::registry::FakeRegistry registry;
  oci::registry::ClientFixture fixture;
  ExportContext context{store, &fixture.client(), nullptr, nullptr, 0, nullptr};
  ImageResult result_with = result(layer({}, "file", "content", kSecond));

  AttestedBench() {
    result_with.attestations = {
        {"https://slsa.dev/provenance/v1", "provenance.json", false, [] { return "{\"p\":1}"; }},
        {"https://spdx.dev/Document", "sbom.spdx.json", true, [] { return "{\"s\":1}"; }}};
  }
  BuiltImage image = build_image(store, packer, result_with, {});

  /// As the engine puts an output of one platform together.
  ImageSet attested(const Output& output) {
    std::vector<BuiltImage> statements = attest_image(store, image, result_with, output);
    if (statements.empty() || output.referrers) {
      ImageSet single = single_image(image);
      single.referrers = statements;
      return single;
    }
    statements.insert(statements.begin(), image);
    return make_index(store, std::move(statements), {});
  }
  std::string document(const Digest& digest) { return oci::read_blob(store.blobs(), digest); }
  std::string pushed(const std::string& key) const {
    const auto found = registry.manifests.find(key);
    return found == registry.manifests.end() ? "" : found->second.second;
  }
};

Output output_of(const std::string& text) {
  Output out = parse_output(text, false);
  out.names = {"example.com/app:1"};
  return out;
}

}  // namespace

TEST_CASE_FIXTURE(AttestedBench, "an image with attestations is an index of the image and its statements") {
  const ImageSet images = attested(output_of("type=oci,dest=x"));
  REQUIRE(images.index);
  REQUIRE(images.index->content.manifests.size() == 2);
  CHECK(images.index->content.manifests[0].digest == image.manifest.digest);
  CHECK(images.index->content.manifests[0].platform == oci::parse_platform("linux/amd64"));
  const oci::Descriptor& entry = images.index->content.manifests[1];
  CHECK(oci::is_attestation(entry));
  const auto manifest = std::get<oci::Manifest>(oci::parse_manifest(document(entry.digest)));
  CHECK(manifest.subject->digest == image.manifest.digest);
  REQUIRE(manifest.layers.size() == 1);  // the other one is for attestation-inline=true
  const AttestedJson statement = AttestedJson::parse(document(manifest.layers[0].digest));
  CHECK(statement.at("predicate").at("p") == 1);
  CHECK(statement.at("subject").at(0).at("name") == "pkg:docker/example.com/app@1?platform=linux%2Famd64");
  CHECK(statement.at("subject").at(0).at("digest").at("sha256") == image.manifest.digest.hex());
  const ImageSet all = attested(output_of("type=image,attestation-inline=true"));
  CHECK(all.manifests[1].content.layers.size() == 2);
  CHECK_FALSE(attested(output_of("type=oci,dest=x,oci-artifact=false")).manifests[1].content.subject);
}

TEST_CASE_FIXTURE(AttestedBench, "outputs that cannot carry attestations are refused") {
  for (const char* text : {"type=oci,dest=x,oci-mediatypes=false", "type=docker,dest=x"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(attested(output_of(text)), Error);
  }
  result_with.attestations.clear();
  CHECK_FALSE(attested(output_of("type=docker,dest=x")).index);
}

TEST_CASE_FIXTURE(AttestedBench, "a push in the form of an index gives the name the index") {
  const ImageSet images = attested(output_of("type=image,push=true"));
  for (const int time : {1, 2}) {
    CAPTURE(time);
    push_images(images, registry.reference("app:1").str(), false, context);
    CHECK(pushed("app@1") == images.top_json());
  }
  CHECK(pushed("app@" + image.manifest.digest.str()) == image.manifest_json);
  CHECK(pushed("app@" + images.manifests[1].manifest.digest.str()) == images.manifests[1].manifest_json);
  for (const oci::Descriptor& layer : images.manifests[1].content.layers)
    CHECK(registry.blobs.contains("app@" + layer.digest.str()));
  CHECK(registry.violations.empty());
}

TEST_CASE_FIXTURE(AttestedBench, "as referrers the name gives the image, and the subject's tag lists the statements") {
  const ImageSet images = attested(output_of("type=image,push=true,attestation-form=referrers"));
  CHECK(images.top().digest == image.manifest.digest);
  const std::string tag = "app@sha256-" + image.manifest.digest.hex();
  for (const int time : {1, 2}) {
    CAPTURE(time);
    push_images(images, registry.reference("app:1").str(), false, context);
    CHECK(pushed("app@1") == image.manifest_json);
    const auto index = std::get<oci::Index>(oci::parse_manifest(pushed(tag)));
    REQUIRE(index.manifests.size() == 1);
    CHECK(index.manifests[0].digest == images.referrers.at(0).manifest.digest);
    CHECK(index.manifests[0].artifact_type == "application/vnd.docker.attestation.manifest.v1+json");
    CHECK_FALSE(index.manifests[0].platform);
  }
}

TEST_CASE_FIXTURE(AttestedBench, "a registry with referrers needs no tag for them") {
  registry.alter = [](const http::FakeRequest& request, http::FakeResponse& response) {
    if (request.method == "PUT" && request.body.find("\"subject\"") != std::string::npos)
      response.headers.emplace_back("OCI-Subject", "sha256:x");
  };
  const ImageSet images = attested(output_of("type=image,push=true,attestation-form=referrers"));
  push_images(images, registry.reference("app:1").str(), false, context);
  CHECK(pushed("app@sha256-" + image.manifest.digest.hex()).empty());
  CHECK_FALSE(pushed("app@" + images.referrers.at(0).manifest.digest.str()).empty());
}

TEST_CASE_FIXTURE(AttestedBench, "a layout has the index under the name, and with referrers both side by side") {
  const std::string place = fixture.dir.path();
  const ImageSet images = attested(output_of("type=oci,dest=x"));
  write_image_directory(store, images, {"example.com/app:1"}, place + "/index");
  CHECK(oci::ImageLayout::open(place + "/index").find("1").digest == images.top().digest);
  const ImageSet single = attested(output_of("type=oci,dest=x,attestation-form=referrers"));
  for (const int time : {1, 2}) {
    CAPTURE(time);
    write_image_directory(store, single, {"example.com/app:1"}, place + "/referrers");
    write_image_directory(store, single, {}, place + "/unnamed");
    for (const char* name : {"/referrers", "/unnamed"}) {
      const oci::ImageLayout layout = oci::ImageLayout::open(place + name);
      CHECK(layout.find("").digest == image.manifest.digest);
      CHECK(layout.index().manifests.size() == 2);
    }
  }
}

TEST_CASE_FIXTURE(AttestedBench, "for files each attestation is a file about all of them") {
  FileTree tree{open_rootfs(store, result_with.chain), 7};
  const auto one = attestations_for(output_of("type=local,dest=x"), result_with);
  tree.extra_files = attestation_files(tree.view, one, {"p.", {}});
  REQUIRE(tree.extra_files.size() == 1);
  CHECK(tree.extra_files[0].first == "p.provenance.json");
  CHECK(attestation_files(tree.view, one, {"p.", "linux_amd64"}).at(0).first == "p.provenance.linux_amd64.json");
  const AttestedJson statement = AttestedJson::parse(tree.extra_files[0].second);
  CHECK(statement.at("subject").size() == 1);
  CHECK(statement.at("subject").at(0).at("name") == "file");
  CHECK(statement.at("subject").at(0).at("digest").at("sha256") == sha256("content").hex());
  std::string tar;
  const auto write = [&] {
    write_files_tar({&tree, 1}, nullptr, [&](std::span<const std::byte> bytes) {
      tar.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
  };
  write();
  const auto members = tar_members(tar);
  REQUIRE(members.size() == 2);
  CHECK(members[1].first == "p.provenance.json");
  CHECK(members[1].second.content == tree.extra_files[0].second);
  CHECK(members[1].second.mtime == 7);
  tree.extra_files = {{"file", "x"}};
  CHECK_THROWS_AS(write(), Error);
}

TEST_CASE_FIXTURE(AttestedBench, "a directory that mirrors the result keeps the files of attestations") {
  FileTree tree{open_rootfs(store, result_with.chain)};
  tree.extra_files = {{"provenance.json", "{}"}};
  const std::string place = fixture.dir.path() + "/mirror";
  for (const int time : {1, 2}) {
    CAPTURE(time);
    write_local({&tree, 1}, place, true, nullptr);
    const UniqueFd dir = sys::open_at(AT_FDCWD, place, O_RDONLY | O_DIRECTORY);
    CHECK(sys::list_dir(dir.get()) == std::vector<std::string>{"file", "provenance.json"});
  }
}

}  // namespace cbuild::exporter
