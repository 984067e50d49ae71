// SPDX-License-Identifier: Apache-2.0
// Rules between gc and readers that no single call shows.
#include <doctest/doctest.h>
#include <unistd.h>

#include "cache/database/database.h"
#include "cache/gc/gc.h"
#include "cache/gc/gc_state.h"
#include "cache/test_support.h"
#include "cache/tree_blocks.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

std::string index_file(const TempStore& temp) { return temp.root + "/index.db"; }

std::string text_of(char c) { return std::string(64u << 10, c); }

bool has_blob_file(const TempStore& temp, const Digest& blob) {
  return sys::try_stat_at(AT_FDCWD, cat(temp.root, "/blobs/sha256/", blob.hex())).has_value();
}

}  // namespace

TEST_CASE("a doomed item is a miss for a reader that has not pinned it, and a maker takes the doom away") {
  TempStore temp;
  Chain chain;
  Digest blob;
  {
    Store store(temp.options());
    chain = add_file_layer(store, {}, "f", "x");
    blob = oci::put_blob(store.blobs(), "blob", "x").digest;
    store.publish(record_of(digest_of("key"), chain.id));
  }
  for (const char* table : {"layers", "chains", "blobs"})
    Database(index_file(temp), false).script(cat("UPDATE ", table, " SET doomed = 1").c_str());
  {
    Store store(temp.options());
    CHECK_FALSE(store.find(digest_of("key")));
    CHECK_FALSE(store.chain(chain.id));
    CHECK_FALSE(store.layer(chain.layer));
    CHECK_FALSE(store.blobs().size(blob));
  }
  Store store(temp.options());
  CHECK(oci::put_blob(store.blobs(), "blob", "x").digest == blob);
  CHECK(store.extend({}, chain.layer, {}) == chain);
  Store reader(temp.options());
  CHECK(reader.blobs().size(blob));
  CHECK(reader.layer(chain.layer));
  CHECK(reader.chain(chain.id));
}

TEST_CASE("a build that works with an index that was put aside keeps gc away") {
  TempStore temp;
  auto user = std::make_unique<Store>(temp.options());
  const Chain chain = add_file_layer(*user, {}, "f", "x");
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((index_file(temp) + suffix).c_str());
  {
    Store store(temp.options());
    CHECK(prune(store, {}).empty());
    REQUIRE(store.notes().size() == 1);
    CHECK(store.notes()[0].find("another index") != std::string::npos);
  }
  CHECK(sys::try_stat_at(AT_FDCWD, cat(temp.root, "/snapshots/", chain.layer.hex())));
  user.reset();
  Store store(temp.options());
  prune(store, {});
  CHECK_FALSE(sys::try_stat_at(AT_FDCWD, cat(temp.root, "/snapshots/", chain.layer.hex())));
}

TEST_CASE("a blob that another layer needs as well stays when one of them goes") {
  TempStore temp;
  Chain one, two;
  Digest blob;
  {
    Store store(temp.options());
    one = add_file_layer(store, {}, "a", text_of('a'));
    two = add_file_layer(store, {}, "b", text_of('b'));
    const oci::Descriptor packed = oci::put_blob(store.blobs(), text_of('p'), std::string(oci::media_type::kLayer));
    blob = packed.digest;
    for (const Chain& chain : {one, two}) store.set_packed(chain.layer, digest_of("diff"), packed);
  }
  Store store(temp.options());
  PruneOptions options;
  options.wanted = [&](const Usage::Item& item) { return item.id == one.layer.hex(); };
  CHECK(prune(store, options).size() == 1);
  CHECK(has_blob_file(temp, blob));
  options.wanted = [&](const Usage::Item& item) { return item.id == two.layer.hex(); };
  CHECK(prune(store, options).size() == 1);
  CHECK_FALSE(has_blob_file(temp, blob));
}

TEST_CASE("use is remembered: the item found last goes last") {
  TempStore temp;
  Digest keys[2];
  {
    Store store(temp.options());
    for (int i = 0; i < 2; ++i) {
      keys[i] = digest_of(cat("key", i));
      store.publish(record_of(keys[i], add_file_layer(store, {}, cat("f", i), text_of('x')).id));
    }
  }
  {
    Database db(index_file(temp), false);
    for (const char* table : {"layers", "chains", "records"})
      db.script(cat("UPDATE ", table, " SET last_used_ns = 1").c_str());
  }
  { CHECK(Store(temp.options()).find(keys[0])); }
  Store store(temp.options());
  PruneOptions options;
  options.max_used_bytes = 100u << 10;
  CHECK(prune(store, options).size() == 1);
  CHECK(store.find(keys[0]));
  CHECK_FALSE(store.find(keys[1]));
}

TEST_CASE("a file with several names counts once") {
  TempStore temp;
  Store store(temp.options());
  const Chain chain = add_layer(store, {}, [](int tree) {
    write_file(tree, "one", std::string(256u << 10, 'x'));
    REQUIRE(::linkat(tree, "one", tree, "two", 0) == 0);
  });
  const std::uint64_t bytes = tree_blocks(store.root_fd(), cat("snapshots/", chain.layer.hex()));
  CHECK(bytes >= 256u << 10);
  CHECK(bytes < 400u << 10);
}

TEST_CASE("after a restart, an unsynced tree of a layer that can be fetched costs only the tree") {
  TempStore temp;
  Layer base;
  base.id = base.diff_id = digest_of("diff");
  base.fetch_from = "docker-image://x";
  base.blob = oci::Descriptor{};
  base.blob->digest = digest_of("blob");
  Digest chain;
  {
    Store store(temp.options());
    store.add_lazy_layer(base);
    chain = store.extend({}, base.id, {}).id;
    store.publish(record_of(digest_of("key"), chain));
    Staging staging = store.stage("x");
    write_file(staging.tree_fd(), "f", "content");
    store.add_tree(base, std::move(staging));
    CHECK(store.layer(base.id)->has_tree);
  }
  Database(index_file(temp), false).run("UPDATE meta SET boot = ?", std::string_view("another boot"));
  Store store(temp.options());
  CHECK(store.find(digest_of("key")));
  REQUIRE(store.layer(base.id));
  CHECK_FALSE(store.layer(base.id)->has_tree);
}

TEST_CASE("a child of a chain goes with it, a sibling does not") {
  TempStore temp;
  Chain below, child, sibling;
  {
    Store store(temp.options());
    below = add_file_layer(store, {}, "below", "1");
    child = add_file_layer(store, below.id, "child", "2");
    sibling = add_file_layer(store, {}, "sibling", "3");
    for (const Chain& chain : {below, child, sibling}) store.publish(record_of(chain.id, chain.id));
  }
  sys::remove_all_at(AT_FDCWD, cat(temp.root, "/snapshots/", below.layer.hex()));
  Store store(temp.options());
  CHECK(finds_missing_content([&] { store.open_tree(below.layer); }));
  CHECK_FALSE(store.find(below.id));
  CHECK_FALSE(store.find(child.id));
  CHECK(store.find(sibling.id));
}

TEST_CASE("a layer on which another was built while gc chose stays") {
  TempStore temp;
  Chain below, child;
  {
    Store store(temp.options());
    below = add_file_layer(store, {}, "below", "1");
  }
  Store store(temp.options());
  PruneOptions options;
  options.wanted = [&](const Usage::Item& item) {
    if (item.id != below.layer.hex()) return false;
    Store other(temp.options());
    child = add_file_layer(other, below.id, "child", "2");
    return true;
  };
  CHECK(prune(store, options).empty());
  Store reader(temp.options());
  CHECK(reader.chain(below.id));
  CHECK(reader.chain(child.id));
  CHECK(reader.layer(below.layer));
}

TEST_CASE("a cache mount that a step took while gc chose stays") {
  TempStore temp;
  { CHECK(Store(temp.options()).try_cache_mount("id", {}, kShared, 0)); }
  Store store(temp.options()), other(temp.options());
  std::optional<Store::CacheMountDir> used;
  PruneOptions options;
  options.kinds = {"cachemount"};
  options.wanted = [&](const Usage::Item&) {
    used = other.try_cache_mount("id", {}, kShared, 0);
    write_file(used.value().dir.get(), "kept", "x");
    return true;
  };
  CHECK(prune(store, options).empty());
  used.reset();
  const auto again = store.try_cache_mount("id", {}, kShared, 0);
  CHECK_FALSE(again.value().fresh);
}

TEST_CASE("an age is counted from the last use, not from the making") {
  TempStore temp;
  Digest id;
  {
    Store store(temp.options());
    Staging staging = store.stage("test");
    write_file(staging.tree_fd(), "f", "x");
    Layer layer;
    layer.id = id = random_layer_id();
    layer.created_ns = 1;
    store.add_tree(layer, std::move(staging));
    store.extend({}, id, {});
  }
  Store store(temp.options());
  PruneOptions options;
  options.unused_for_ns = 3'600'000'000'000;
  CHECK(prune(store, options).empty());
  CHECK(store.layer(id));
}
