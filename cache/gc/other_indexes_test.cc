// SPDX-License-Identifier: Apache-2.0
// Indexes of other versions of cbuild in one store.
#include "cache/other_indexes.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "cache/database/schema.h"
#include "cache/gc/gc.h"
#include "cache/test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

void set_version(const TempStore& temp, int version, const char* name = "index.db") {
  Database(cat(temp.root, "/", name), false).script(cat("PRAGMA user_version=", version).c_str());
}

std::string ours() { return cat("index-v", kSchemaVersion, ".db"); }

struct Made {
  Digest key, layer, blob;
};
Made make(Store& store, const std::string& name) {
  Made out{digest_of(name), {}, oci::put_blob(store.blobs(), "blob " + name, "x").digest};
  const Chain chain = add_file_layer(store, {}, "f", name);
  out.layer = chain.layer;
  store.publish(record_of(out.key, chain.id));
  return out;
}

bool has_files(const TempStore& temp, const Made& made) {
  const bool tree = sys::try_stat_at(AT_FDCWD, cat(temp.root, "/snapshots/", made.layer.hex(), "/fs/f")).has_value();
  const bool blob = sys::try_stat_at(AT_FDCWD, cat(temp.root, "/blobs/sha256/", made.blob.hex())).has_value();
  CHECK(tree == blob);
  return tree;
}

std::size_t count_indexes(const std::vector<Usage::Item>& items) {
  return static_cast<std::size_t>(
      std::count_if(items.begin(), items.end(), [](const auto& item) { return item.kind == "index"; }));
}

}  // namespace

TEST_CASE("an index of an older version is brought to ours and keeps what it knows") {
  TempStore temp;
  Made made;
  {
    Store store(temp.options());
    made = make(store, "old");
    const std::int64_t now = sys::now_ns();
    store.add_build({"build", "name", "ok", "", "", now, now, 0, 0, ""});
  }
  {
    Database db(temp.root + "/index.db", false);
    db.script("DROP TABLE logs");  // as version 1 was
  }
  set_version(temp, 1);
  Store store(temp.options());
  CHECK(store.notes().empty());
  CHECK(store.find(made.key));
  CHECK(store.builds(10).size() == 1);
  const std::int64_t now = sys::now_ns();
  store.add_build({"another", "name", "ok", "", "", now, now, 0, 0, ""});
  CHECK(store.builds(10).size() == 2);
  Database db(temp.root + "/index.db", false);
  CHECK(schema_version(db) == kSchemaVersion);
  CHECK(Store(temp.options()).find(made.key));
}

TEST_CASE("an index of a newer version is left alone, and ours is begun next to it, with a note") {
  TempStore temp;
  Made newer, own;
  {
    Store store(temp.options());
    newer = make(store, "newer");
    store.make_durable();
  }
  set_version(temp, kSchemaVersion + 1);
  {
    Store store(temp.options());
    REQUIRE(store.notes().size() == 1);
    CHECK(store.notes()[0].find(ours()) != std::string::npos);
    CHECK_FALSE(store.find(newer.key));
    own = make(store, "own");
  }
  {
    Store store(temp.options());
    CHECK(store.notes().empty());
    CHECK(store.find(own.key));
  }
  CHECK(has_files(temp, newer));
  set_version(temp, kSchemaVersion);  // the newer program comes back
  Store store(temp.options());
  CHECK(store.notes().empty());
  CHECK(store.find(newer.key));
}

TEST_CASE("prune of one version takes nothing that the index of another knows") {
  TempStore temp;
  Made newer, own;
  {
    Store store(temp.options());
    newer = make(store, "newer");
  }
  set_version(temp, kSchemaVersion + 1);
  {
    Store store(temp.options());
    own = make(store, "own");
  }
  Store store(temp.options());
  PruneOptions all;
  all.all = true;
  CHECK(prune(store, all).size() == 2);
  CHECK_FALSE(has_files(temp, own));
  CHECK(has_files(temp, newer));
  CHECK(count_indexes(disk_usage(store).items) == 1);
  set_version(temp, kSchemaVersion);
  Store again(temp.options());
  REQUIRE(again.find(newer.key));
  CHECK(again.blobs().size(newer.blob));
}

TEST_CASE("objects that both versions know stay for the other") {
  TempStore temp;
  const auto make_base = [&](Store& store) {
    Layer base;
    base.id = base.diff_id = digest_of("diff");
    Staging staging = store.stage("x");
    write_file(staging.tree_fd(), "f", "base");
    store.add_tree(base, std::move(staging));
    return Made{{}, base.id, oci::put_blob(store.blobs(), "base blob", "x").digest};
  };
  Made base;
  {
    Store store(temp.options());
    base = make_base(store);
  }
  set_version(temp, kSchemaVersion + 1);
  {
    Store store(temp.options());
    make_base(store);
  }
  Store store(temp.options());
  CHECK(prune(store, {}).size() == 2);
  CHECK(has_files(temp, base));
}

TEST_CASE("the leftovers of other versions are known: they go by age or when they are asked for") {
  TempStore temp;
  Made newer;
  {
    Store store(temp.options());
    newer = make(store, "newer");
  }
  set_version(temp, kSchemaVersion + 1);
  Store store(temp.options());
  CHECK(count_indexes(prune(store, {})) == 0);
  PruneOptions options;
  SUBCASE("by type") { options.kinds = {"index"}; }
  SUBCASE("by age") {
    options.unused_for_ns = std::int64_t{3600} * 1'000'000'000;
    const timespec old[2] = {{1'000'000, 0}, {1'000'000, 0}};
    for (const char* name : {"index.db", "index.db-wal", "index.db-shm"})
      ::utimensat(AT_FDCWD, cat(temp.root, "/", name).c_str(), old, 0);
  }
  CHECK(count_indexes(prune(store, options)) == 1);
  CHECK(other_indexes(store.impl()).empty());
  prune(store, {});
  CHECK_FALSE(sys::try_stat_at(AT_FDCWD, cat(temp.root, "/snapshots/", newer.layer.hex())));
}

TEST_CASE("an index that was put aside as broken is known, and goes with the next prune") {
  TempStore temp;
  { Store store(temp.options()); }
  for (const char* suffix : {"-wal", "-shm"}) ::unlink((temp.root + "/index.db" + suffix).c_str());
  sys::write_file_at(AT_FDCWD, temp.root + "/index.db", std::string(8192, 'x'));
  Store store(temp.options());
  REQUIRE(store.notes().size() == 1);
  CHECK(count_indexes(disk_usage(store).items) == 1);
  CHECK(count_indexes(prune(store, {})) == 1);
  CHECK(count_indexes(disk_usage(store).items) == 0);
}

TEST_CASE("our own index is not taken by its name") {
  TempStore temp;
  Store store(temp.options());
  CHECK_FALSE(remove_other_index(store.impl(), "index.db"));
  CHECK_FALSE(remove_other_index(store.impl(), "blobs"));
  CHECK(sys::try_stat_at(AT_FDCWD, temp.root + "/index.db"));
}
