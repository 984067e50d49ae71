// SPDX-License-Identifier: Apache-2.0
// Blobs of a store: the contract of every BlobStore, and the rules between file and row.
#include <doctest/doctest.h>

#include "cache/test_support.h"
#include "oci/blob_store_suite.h"
#include "oci/layout.h"
#include "oci/manifest.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

std::string blob_path(const std::string& root, const Digest& digest) { return root + "/blobs/sha256/" + digest.hex(); }

}  // namespace

TEST_CASE("blobs are verified on the way in") {
  TempStore temp;
  Store store(temp.options());
  const Digest digest = sha256("content");
  {
    auto writer = store.blobs().create();
    writer->write(bytes("con"));
    writer->write(bytes("tent"));
    CHECK_FALSE(store.blobs().size(digest));
    CHECK(writer->commit(digest, 7) == digest);
  }
  CHECK(store.blobs().size(digest) == 7);
  CHECK(oci::read_blob(store.blobs(), digest) == "content");
  auto wrong = store.blobs().create();
  wrong->write(bytes("other"));
  CHECK_THROWS_AS(wrong->commit(digest), Error);
  auto short_one = store.blobs().create();
  short_one->write(bytes("x"));
  CHECK_THROWS_AS(short_one->commit({}, 2), Error);
  wrong.reset();
  short_one.reset();
  store.blobs().create().reset();
  CHECK(sys::list_dir(sys::open_at(store.root_fd(), "tmp", O_RDONLY | O_DIRECTORY).get()).empty());
}

TEST_CASE("the blobs of a store keep the contract of a blob store") {
  TempStore temp;
  Store store(temp.options());
  oci::testing::check_blob_store(store.blobs());
}

TEST_CASE("a missing or cut blob is a miss, once and for all") {
  TempStore temp;
  Store store(temp.options());
  const Digest gone = oci::put_blob(store.blobs(), "gone", "x").digest,
               cut = oci::put_blob(store.blobs(), "cut off", "x").digest;
  ::unlink(blob_path(temp.root, gone).c_str());
  CHECK(::truncate(blob_path(temp.root, cut).c_str(), 3) == 0);
  for (const Digest& digest : {gone, cut}) {
    CHECK_THROWS_AS(store.blobs().open(digest), Error);
    CHECK_FALSE(store.blobs().size(digest));
  }
  CHECK(oci::put_blob(store.blobs(), "cut off", "x").digest == cut);
  CHECK(oci::read_blob(store.blobs(), cut) == "cut off");
}

TEST_CASE("a file without a row is adopted only when it has the digest of its name") {
  TempStore temp;
  Store store(temp.options());
  oci::put_blob(store.blobs(), "first", "x");
  const Digest good = sha256("good"), bad = sha256("bad");
  sys::write_file_at(AT_FDCWD, blob_path(temp.root, good), "good");
  sys::write_file_at(AT_FDCWD, blob_path(temp.root, bad), "b@d");
  CHECK(store.blobs().size(good) == 4);
  CHECK_FALSE(store.blobs().size(bad));
  CHECK(oci::put_blob(store.blobs(), "bad", "x").digest == bad);
  CHECK(oci::read_blob(store.blobs(), bad) == "bad");
}

TEST_CASE("a blob that proves wrong can be forgotten") {
  TempStore temp;
  Store store(temp.options());
  const Digest digest = oci::put_blob(store.blobs(), "flip me", "x").digest;
  sys::write_file_at(AT_FDCWD, blob_path(temp.root, digest), "flip mE");
  CHECK_THROWS_AS(oci::read_blob(store.blobs(), digest), Error);
  store.forget_blob(digest);
  CHECK_FALSE(store.blobs().size(digest));
}

TEST_CASE("a damaged document is written again by whoever has its text") {
  TempStore temp;
  Store store(temp.options());
  const Digest digest = oci::put_blob(store.blobs(), "flip me", "x").digest;
  sys::write_file_at(AT_FDCWD, blob_path(temp.root, digest), "flip mE");
  CHECK(oci::put_blob(store.blobs(), "flip me", "x").digest == digest);
  CHECK(oci::read_blob(store.blobs(), digest) == "flip me");
}

TEST_CASE("images: names, and the store as a layout other tools read") {
  TempStore temp;
  oci::Manifest manifest;
  Digest digest;
  {
    Store store(temp.options());
    manifest.config = oci::put_blob(store.blobs(), "{}", std::string(oci::media_type::kConfig));
    digest = oci::put_blob(store.blobs(), oci::to_json(manifest), manifest.media_type).digest;
    store.set_image({"docker.io/library/a:1", digest, 5});
    store.set_image({"docker.io/library/b:1", digest, 6});
    store.set_image({"docker.io/library/a:1", digest, 7});
    REQUIRE(store.image("docker.io/library/a:1"));
    CHECK(store.image("docker.io/library/a:1")->created_ns == 7);
    CHECK(store.images().size() == 2);
    CHECK(store.remove_image("docker.io/library/b:1"));
    CHECK_FALSE(store.remove_image("docker.io/library/b:1"));
    CHECK_FALSE(store.image("docker.io/library/b:1"));
    CHECK_THROWS_AS(store.set_image({"c", digest_of("nothing"), 1}), Error);
  }
  auto layout = oci::ImageLayout::open(temp.root);
  CHECK(layout.index().manifests.size() == 1);
  CHECK(layout.find("docker.io/library/a:1").digest == digest);
  CHECK(oci::read_blob(layout.blobs(), manifest.config.digest) == "{}");
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((temp.root + "/index.db" + suffix).c_str());
  Store store(temp.options());
  REQUIRE(store.image("docker.io/library/a:1"));
  CHECK(oci::read_blob(store.blobs(), digest) == oci::to_json(manifest));
}
