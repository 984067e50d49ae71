// SPDX-License-Identifier: Apache-2.0
#include "cache/remote/mount_pack.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "cache/test_support.h"
#include "oci/manifest.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

constexpr std::uint64_t kPlenty = 1u << 30;

/// A store with one cache mount, which nobody uses any more.
struct MountStore {
  TempStore temp;
  Store store{temp.options()};

  explicit MountStore(const std::string& id = "pip") {
    const auto mount = store.try_cache_mount(id, {}, kShared, 0);
    write_file(mount->dir.get(), "wheels/a.whl", "content of a", 0640);
    write_file(mount->dir.get(), ".wh.name", "no whiteout here");
    make_symlink(mount->dir.get(), "wheels/a.whl", "latest");
  }
  CacheMountInfo info() { return cache_mounts(store).at(0); }
  RemoteIndex::MountEntry pack() {
    std::string why_not;
    const auto entry = pack_cache_mount(store, info(), kPlenty, nullptr, why_not);
    REQUIRE_MESSAGE(entry, why_not);
    return *entry;
  }
  std::string refusal(const CacheMountInfo& mount, std::uint64_t max_bytes = kPlenty) {
    std::string why_not;
    CHECK_FALSE(pack_cache_mount(store, mount, max_bytes, nullptr, why_not));
    return why_not;
  }
};

Layer layer_of(const RemoteIndex::MountEntry& entry) {
  Layer layer;
  layer.diff_id = entry.diff_id;
  layer.blob = entry.blob;
  return layer;
}

/// Code of the error that unpacking `layer` into an empty directory ends with.
ErrorCode unpack_code(Store& store, const Layer& layer) {
  const TempDir target = TempDir::in_tmp("mount-pack-test");
  try {
    unpack_cache_mount(store, layer, target.fd(), nullptr);
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("unpacked");
  return {};
}

}  // namespace

TEST_CASE("a cache mount comes out as it was packed, on another machine") {
  MountStore here;
  const RemoteIndex::MountEntry entry = here.pack();
  CHECK(entry.id == "pip");
  CHECK(entry.key == cache_mount_key("pip", {}));
  CHECK(entry.blob.media_type == oci::media_type::kLayerZstd);

  TempStore there;
  Store store(there.options());
  oci::put_blob(store.blobs(), oci::read_blob(here.store.blobs(), entry.blob.digest), entry.blob.media_type);
  const TempDir target = TempDir::in_tmp("mount-pack-test");
  unpack_cache_mount(store, layer_of(entry), target.fd(), nullptr);
  CHECK(sys::read_file_at(target.fd(), "wheels/a.whl", 100) == "content of a");
  CHECK((sys::stat_at(target.fd(), "wheels/a.whl").st_mode & 07777) == 0640);
  char link[64] = {};
  CHECK(::readlinkat(target.fd(), "latest", link, sizeof link) > 0);
  CHECK(std::string(link) == "wheels/a.whl");
}

TEST_CASE("the same content packs to the same blob") {
  MountStore here;
  CHECK(here.pack() == here.pack());
}

TEST_CASE("cache mounts are listed by id, and their keys tell id and initial content apart") {
  MountStore here("pip");
  here.store.try_cache_mount("apt", {}, kShared, 0);
  here.store.try_cache_mount("apt", digest_of("base"), kShared, 0);
  const auto mounts = cache_mounts(here.store);
  REQUIRE(mounts.size() == 3);
  CHECK(mounts[0].id == "apt");
  CHECK(mounts[1].id == "apt");
  CHECK(mounts[2].id == "pip");
  CHECK(mounts[0].key != mounts[1].key);
  CHECK(mounts[2].key == cache_mount_key("pip", {}));
  CHECK(cache_mount_key("apt", {}) != cache_mount_key("apt", digest_of("base")));
}

TEST_CASE("a mount that is larger than asked for is left out") {
  MountStore here;
  CHECK(here.refusal(here.info(), 0).starts_with("it has "));
  CHECK(here.refusal(here.info(), 1).ends_with("more than 1 B"));
}

TEST_CASE("a mount that a step has for itself is left out, one that steps share is not") {
  MountStore here;
  const CacheMountInfo mount = here.info();
  {
    const auto used = here.store.try_cache_mount("pip", {}, kLocked, 0);
    REQUIRE(used);
    CHECK(here.refusal(mount) == "another build uses it exclusively");
  }
  const auto shared = here.store.try_cache_mount("pip", {}, kShared, 0);
  here.pack();
}

TEST_CASE("a mount that was pruned meanwhile is left out") {
  MountStore here;
  const CacheMountInfo mount = here.info();
  CHECK(::rename((here.temp.root + "/mounts/" + mount.key).c_str(), (here.temp.dir.path() + "/gone").c_str()) == 0);
  CHECK(here.refusal(mount) == "it is gone");
}

TEST_CASE("packing ends when the build is cancelled") {
  MountStore here;
  CancelSource cancel;
  cancel.cancel();
  std::string why_not;
  try {
    pack_cache_mount(here.store, here.info(), kPlenty, &cancel, why_not);
    FAIL("packed");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
}

TEST_CASE("a blob that is not the packed mount is refused as corrupt") {
  MountStore here;
  const RemoteIndex::MountEntry entry = here.pack();
  Layer other_content = layer_of(entry);
  other_content.diff_id = digest_of("something else");
  CHECK(unpack_code(here.store, other_content) == ErrorCode::corrupt);

  Layer no_archive = layer_of(entry);
  no_archive.blob = oci::put_blob(here.store.blobs(), "no archive", entry.blob.media_type);
  CHECK(unpack_code(here.store, no_archive) == ErrorCode::corrupt);

  Layer cut = layer_of(entry);
  const std::string bytes = oci::read_blob(here.store.blobs(), entry.blob.digest);
  cut.blob = oci::put_blob(here.store.blobs(), bytes.substr(0, bytes.size() / 2), entry.blob.media_type);
  CHECK(unpack_code(here.store, cut) == ErrorCode::corrupt);

  Layer larger = layer_of(entry);
  ++larger.blob->size;
  CHECK(unpack_code(here.store, larger) == ErrorCode::corrupt);

  Layer missing = layer_of(entry);
  missing.blob->digest = digest_of("no blob");
  CHECK(unpack_code(here.store, missing) == ErrorCode::not_found);
}
