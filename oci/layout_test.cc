// SPDX-License-Identifier: Apache-2.0
// Image layouts: blobs that appear only when complete, and the search for an image.
#include "oci/layout.h"

#include <unistd.h>

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/blob_store_suite.h"

using namespace cbuild;
using namespace cbuild::oci;

namespace {

struct Fixture {
  TempDir dir = TempDir::in_tmp("oci-layout");
  ImageLayout layout = ImageLayout::create(dir.path() + "/image");

  std::string file(const std::string& name) const { return sys::read_file_at(dir.fd(), "image/" + name, 1u << 20); }
  void write(const std::string& name, std::string_view data) { sys::write_file_at(dir.fd(), "image/" + name, data); }
};

Descriptor named(const std::string& content, const std::string& ref, const std::string& full = {}) {
  Descriptor out;
  out.media_type = media_type::kManifest;
  out.digest = sha256(content);
  if (!ref.empty()) out.annotations["org.opencontainers.image.ref.name"] = ref;
  if (!full.empty()) out.annotations["io.containerd.image.name"] = full;
  return out;
}

template <typename F>
ErrorCode code_thrown_by(F&& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.code();
  }
  return ErrorCode::internal;
}

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a new layout is exact and empty") {
  CHECK(file("oci-layout") == R"({"imageLayoutVersion":"1.0.0"})");
  CHECK(layout.index().manifests.empty());
  CHECK(code_thrown_by([&] { ImageLayout::open(dir.path() + "/image"); }) == ErrorCode::not_found);
  layout.write_index({});
  CHECK(file("index.json") ==
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":null})");
  CHECK(ImageLayout::open(dir.path() + "/image").index() == Index{});
  CHECK(ImageLayout::create(dir.path() + "/image").index() == Index{});
}

TEST_CASE_FIXTURE(Fixture, "blobs appear on commit only") {
  BlobStore& blobs = layout.blobs();
  const Digest digest = sha256("hello");
  CHECK_FALSE(blobs.size(digest));
  CHECK(code_thrown_by([&] { blobs.open(digest); }) == ErrorCode::not_found);
  {
    auto writer = blobs.create();
    writer->write(bytes("hel"));
    writer->write(bytes("lo"));
    CHECK_FALSE(blobs.size(digest));
    CHECK(writer->commit(digest, 5) == digest);
  }
  CHECK(blobs.size(digest) == 5);
  CHECK(read_blob(blobs, digest) == "hello");
  CHECK(sys::list_dir(sys::open_at(dir.fd(), "image", O_RDONLY | O_DIRECTORY).get()) ==
        std::vector<std::string>{"blobs", "oci-layout"});
}

TEST_CASE_FIXTURE(Fixture, "the blobs of a layout keep the contract of a blob store") {
  oci::testing::check_blob_store(layout.blobs());
}

TEST_CASE_FIXTURE(Fixture, "a wrong digest or size publishes nothing and leaves nothing") {
  for (const bool wrong_size : {false, true}) {
    auto writer = layout.blobs().create();
    writer->write(bytes("data"));
    CHECK(code_thrown_by([&] { writer->commit(sha256(wrong_size ? "data" : "other"), wrong_size ? 5 : 4); }) ==
          ErrorCode::corrupt);
  }
  CHECK_FALSE(layout.blobs().size(sha256("data")));
  CHECK(sys::list_dir(sys::open_at(dir.fd(), "image", O_RDONLY | O_DIRECTORY).get()) ==
        std::vector<std::string>{"blobs", "oci-layout"});
}

TEST_CASE_FIXTURE(Fixture, "small blobs: put, read, verify") {
  const Descriptor put = put_blob(layout.blobs(), "{}", "application/x");
  CHECK(put.media_type == "application/x");
  CHECK(put.size == 2);
  CHECK(put.digest == sha256("{}"));
  CHECK(put_blob(layout.blobs(), "{}", "application/x") == put);
  CHECK(read_blob(layout.blobs(), put.digest) == "{}");
  CHECK(code_thrown_by([&] { read_blob(layout.blobs(), put.digest, 1); }) == ErrorCode::corrupt);
  write("blobs/sha256/" + put.digest.hex(), "[]");
  CHECK(code_thrown_by([&] { read_blob(layout.blobs(), put.digest); }) == ErrorCode::corrupt);
}

TEST_CASE_FIXTURE(Fixture, "a truncated blob is written again") {
  const Descriptor put = put_blob(layout.blobs(), "content", "x");
  write("blobs/sha256/" + put.digest.hex(), "con");
  put_blob(layout.blobs(), "content", "x");
  CHECK(read_blob(layout.blobs(), put.digest) == "content");
}

TEST_CASE("a blob is copied as it is, or not at all") {
  const TempDir dir = TempDir::in_tmp("oci-layout");
  ImageLayout from = ImageLayout::create(dir.path() + "/from"), to = ImageLayout::create(dir.path() + "/to");
  Descriptor blob = put_blob(from.blobs(), std::string(3'000'000, 'x'), "x");
  copy_blob(from.blobs(), to.blobs(), blob);
  CHECK(read_blob(to.blobs(), blob.digest) == std::string(3'000'000, 'x'));
  const Descriptor other = put_blob(from.blobs(), "other", "x");
  blob.digest = other.digest;
  CHECK_THROWS_AS(copy_blob(from.blobs(), to.blobs(), blob), Error);
  CHECK_FALSE(to.blobs().size(other.digest));
}

TEST_CASE_FIXTURE(Fixture, "the newest entry of a layout is its image, not an attestation") {
  Index index;
  Descriptor attestation = named("attests", "");
  attestation.annotations["vnd.docker.reference.type"] = "attestation-manifest";
  index.manifests = {named("image", ""), attestation};
  layout.write_index(index);
  CHECK(layout.find("") == index.manifests[0]);
}

TEST_CASE_FIXTURE(Fixture, "entries are found by name, tag and digest") {
  Index index;
  index.manifests = {named("a", "1.0", "example.com:443/app:1.0"), named("b", "example.com/other:2"), named("c", "")};
  layout.write_index(index);
  CHECK(layout.index() == index);
  CHECK(layout.find("1.0") == index.manifests[0]);
  CHECK(layout.find("example.com:443/app:1.0") == index.manifests[0]);
  CHECK(layout.find("2") == index.manifests[1]);
  CHECK(layout.find("example.com/other:2") == index.manifests[1]);
  CHECK(layout.find("@" + sha256("c").str()) == index.manifests[2]);
  CHECK(layout.find("") == index.manifests[2]);
  CHECK(code_thrown_by([&] { layout.find("443/app"); }) == ErrorCode::not_found);
  CHECK(code_thrown_by([&] { layout.find("@" + sha256("zz").str()); }) == ErrorCode::not_found);
  CHECK(code_thrown_by([&] { layout.find("@nonsense"); }) == ErrorCode::input);
  try {
    layout.find("3");
    FAIL("found");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find("example.com:443/app:1.0, example.com/other:2, sha256:") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "no selector: the only image, the newest by date") {
  CHECK(code_thrown_by([&] { layout.find(""); }) == ErrorCode::not_found);
  Index index;
  index.manifests = {named("new", "x"), named("old", "y"), named("att", "")};
  index.manifests[0].annotations["org.opencontainers.image.created"] = "2026-01-01T00:00:00Z";
  index.manifests[1].annotations["org.opencontainers.image.created"] = "2025-01-01T00:00:00Z";
  index.manifests[2].annotations["vnd.docker.reference.type"] = "attestation-manifest";
  layout.write_index(index);
  CHECK(layout.find("") == index.manifests[0]);
}

TEST_CASE_FIXTURE(Fixture, "a digest names a manifest below an index too") {
  Index nested;
  const Descriptor child = put_blob(layout.blobs(), to_json(nested), std::string(media_type::kIndex));
  layout.write_index({});
  CHECK(layout.find("@" + child.digest.str()) == child);
}

TEST_CASE_FIXTURE(Fixture, "broken layouts are named") {
  layout.write_index({});
  const std::string path = dir.path() + "/image";
  write("oci-layout", R"({"imageLayoutVersion":"2.0.0"})");
  CHECK(code_thrown_by([&] { ImageLayout::open(path); }) == ErrorCode::corrupt);
  write("oci-layout", "no json");
  CHECK(code_thrown_by([&] { ImageLayout::open(path); }) == ErrorCode::corrupt);
  sys::unlink_at(dir.fd(), "image/oci-layout");
  CHECK(code_thrown_by([&] { ImageLayout::open(path); }) == ErrorCode::not_found);
  CHECK(code_thrown_by([&] { ImageLayout::open(dir.path() + "/none"); }) == ErrorCode::not_found);
  write("index.json", R"({"schemaVersion":2,"config":{}})");
  CHECK(code_thrown_by([&] { layout.index(); }) == ErrorCode::corrupt);
}

TEST_CASE_FIXTURE(Fixture, "a symlink in the place of a blob is not followed") {
  const Digest digest = sha256("secret");
  write("outside", "secret");
  REQUIRE(::symlinkat("../../outside", dir.fd(), ("image/blobs/sha256/" + digest.hex()).c_str()) == 0);
  CHECK_FALSE(layout.blobs().size(digest));
  CHECK_THROWS_AS(layout.blobs().open(digest), Error);
}
