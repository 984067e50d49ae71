// SPDX-License-Identifier: Apache-2.0
// The store through its public functions, and what it does when files disappear under it.
#include "cache/store.h"
#include "cache/source_metadata.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "cache/build_history.h"
#include "cache/record_search.h"
#include "cache/store_secret.h"
#include "cache/test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

Layer lazy_layer(const std::string& seed) {
  Layer layer;
  layer.diff_id = layer.id = digest_of(seed);
  oci::Descriptor blob;
  blob.media_type = std::string(oci::media_type::kLayerGzip);
  blob.digest = digest_of(seed + " blob");
  blob.size = 123;
  blob.annotations = {{"a", "1"}, {"b", ""}};
  blob.urls = {"https://x/y"};
  layer.blob = blob;
  layer.fetch_from = "docker-image://x";
  layer.description = "FROM x";
  layer.created_ns = 7;
  return layer;
}

std::string read_tree_file(Store& store, const Digest& layer, const std::string& path) {
  return sys::read_file_at(store.open_tree(layer).get(), path, 1 << 20);
}

}  // namespace

TEST_CASE("a layer, its chain and a record come back") {
  TempStore temp;
  const Digest key = digest_of("key"), definition = digest_of("definition");
  Chain chain;
  {
    Store store(temp.options());
    CHECK(store.notes().empty());
    chain = add_file_layer(store, {}, "etc/x", "hello");
    CHECK(chain.depth == 1);
    CHECK(chain.identity == chain.id);
    Record record = record_of(key, chain.id);
    record.definition_key = definition;
    record.created_ns = 17;
    record.duration_ns = 5;
    record.parts = {{"op", "RUN x"}, {"input 0", ""}};
    store.publish(record);
  }
  Store store(temp.options());
  for (const Digest& by : {key, definition}) {
    const auto found = store.find(by);
    REQUIRE(found);
    CHECK(found->key == key);
    CHECK(found->definition_key == definition);
    CHECK(found->chain == chain.id);
    CHECK(found->created_ns == 17);
    CHECK(found->duration_ns == 5);
    CHECK(found->step_name == "RUN x");
    CHECK(found->parts == std::vector<KeyPart>{{"op", "RUN x"}, {"input 0", ""}});
  }
  CHECK_FALSE(store.find(digest_of("other")));
  CHECK(store.chain(chain.id) == chain);
  CHECK(store.chain_layers(chain.id) == std::vector<Digest>{chain.layer});
  CHECK(read_tree_file(store, chain.layer, "etc/x") == "hello");
  CHECK(store.tree_path(chain.layer).starts_with(temp.root));
  const auto layer = store.layer(chain.layer);
  REQUIRE(layer);
  CHECK(layer->has_tree);
  CHECK_FALSE(layer->has_blob);
  CHECK(layer->description == "test layer");
}

TEST_CASE("the record of a result without any layer is found") {
  TempStore temp;
  Store store(temp.options());
  store.publish(record_of(digest_of("scratch"), {}));
  REQUIRE(store.find(digest_of("scratch")));
  CHECK(store.chain_layers({}).empty());
}

TEST_CASE("a newer record takes the content key, and the result found by definition stays the same") {
  TempStore temp;
  Store store(temp.options());
  const Chain first = add_file_layer(store, {}, "a", "1"), second = add_file_layer(store, {}, "a", "2");
  Record record = record_of(digest_of("content"), first.id, "step");
  record.definition_key = digest_of("one");
  record.created_ns = 100;
  store.publish(record);
  record.definition_key = digest_of("two");
  record.chain = second.id;
  record.created_ns = 200;
  store.publish(record);
  const auto found = [&](const char* key) { return store.find(digest_of(key)).value_or(Record{}).chain; };
  CHECK(found("content") == second.id);
  CHECK(found("two") == second.id);
  CHECK(found("one") == first.id);
  record.definition_key = digest_of("three");
  store.publish(record);
  CHECK(found("three") == second.id);
  // The same definition again, with another result.
  record.definition_key = digest_of("one");
  store.publish(record);
  CHECK(found("one") == second.id);
  record.chain = first.id;
  record.definition_key = digest_of("two");
  store.publish(record);
  CHECK(found("content") == first.id);
  CHECK(found("two") == first.id);
  CHECK(found("one") == second.id);
  CHECK(found("three") == second.id);
  record.chain = second.id;
  store.publish(record);
  CHECK(found("content") == second.id);
}

TEST_CASE("a record that its only definition gives another result is replaced, and the newest are found by step") {
  TempStore temp;
  Store store(temp.options());
  const Chain first = add_file_layer(store, {}, "a", "1"), second = add_file_layer(store, {}, "a", "2");
  Record record = record_of(digest_of("content"), first.id, "step");
  record.definition_key = digest_of("one");
  record.created_ns = 100;
  store.publish(record);
  record.chain = second.id;
  record.created_ns = 200;
  store.publish(record);
  Record older = record_of(digest_of("else"), first.id, "step");
  older.created_ns = 150;
  store.publish(older);
  REQUIRE(newest_of_step(store, "step", 8).size() == 2);
  CHECK(newest_of_step(store, "step", 8)[0].created_ns == 200);
  REQUIRE(newest_of_step(store, "step", 1).size() == 1);
  CHECK(newest_of_step(store, "step", 1)[0].created_ns == 200);
  CHECK(newest_of_step(store, "unknown", 8).empty());
  const Chain top = add_file_layer(store, first.id, "b", "1");
  store.publish(record_of(digest_of("top"), top.id, "upper step"));
  REQUIRE(newest_on(store, first.id, 8).size() == 1);
  CHECK(newest_on(store, first.id, 8)[0].step_name == "upper step");
  CHECK(newest_on(store, {}, 8).size() == 2);
  CHECK(peek(store, digest_of("one"))->chain == second.id);
  CHECK_FALSE(peek(store, digest_of("unknown")));
}

TEST_CASE("finding a result under one more key keeps what is known of how it was made") {
  TempStore temp;
  Store store(temp.options());
  const Chain chain = add_file_layer(store, {}, "a", "1");
  Record record = record_of(digest_of("content"), chain.id, "step");
  record.parts = {{"command", "make"}};
  store.publish(record);
  record.definition_key = digest_of("one more");
  record.parts.clear();
  store.publish(record);
  REQUIRE(store.find(digest_of("one more")));
  CHECK(store.find(digest_of("one more"))->parts == std::vector<KeyPart>{{"command", "make"}});
}

TEST_CASE("metadata of sources is kept until they are damaged") {
  TempStore temp;
  {
    Store store(temp.options());
    CHECK_FALSE(read_source_metadata(store, digest_of("url")).has_value());
    write_source_metadata(store, digest_of("url"), "one");
    write_source_metadata(store, digest_of("url"), "two\nlines");
    write_source_metadata(store, digest_of("other"), "");
  }
  Store store(temp.options());
  CHECK(read_source_metadata(store, digest_of("url")) == "two\nlines");
  CHECK(read_source_metadata(store, digest_of("other")) == "");
  const UniqueFd scans = sys::open_at(store.root_fd(), "scans", O_RDONLY | O_DIRECTORY);
  for (const std::string& name : sys::list_dir(scans.get())) {
    const std::string whole = sys::read_file_at(scans.get(), name, 1 << 20);
    sys::write_file_at(scans.get(), name, whole.substr(0, whole.size() - 1));
  }
  CHECK_FALSE(read_source_metadata(store, digest_of("url")).has_value());
}

TEST_CASE("lazy layers are known without content") {
  TempStore temp;
  const Layer layer = lazy_layer("base");
  {
    Store store(temp.options());
    store.add_lazy_layer(layer);
    store.add_lazy_layer(layer);
    CHECK_THROWS_AS(store.open_tree(layer.id), Error);
  }
  Store store(temp.options());
  CHECK(store.layer(layer.id) == layer);
  CHECK(store.layer_by_diff_id(layer.diff_id) == layer);
  CHECK_FALSE(store.layer_by_diff_id({}));
  const Chain chain = store.extend({}, layer.id, digest_of("identity"));
  CHECK(chain.identity == digest_of("identity"));
  CHECK(store.extend({}, layer.id, digest_of("identity")) == chain);
  CHECK(store.extend({}, layer.id, {}) == chain);
  const Chain second = store.extend({}, layer.id, digest_of("other identity"));
  CHECK(second.id != chain.id);
  CHECK(second.identity == digest_of("other identity"));
  CHECK(store.extend({}, layer.id, digest_of("other identity")) == second);
  store.publish(record_of(digest_of("k"), chain.id));
  CHECK(store.find(digest_of("k")));
}

TEST_CASE("a tree for a lazy layer is published once") {
  TempStore temp;
  Store store(temp.options());
  const Layer layer = lazy_layer("base");
  store.add_lazy_layer(layer);
  for (const char* content : {"first", "second"}) {
    Staging staging = store.stage("x");
    write_file(staging.tree_fd(), "f", content);
    store.add_tree(layer, std::move(staging));
  }
  CHECK(store.layer(layer.id)->has_tree);
  CHECK(read_tree_file(store, layer.id, "f") == "first");
}

TEST_CASE("extend refuses parents and layers that do not exist") {
  TempStore temp;
  Store store(temp.options());
  CHECK_THROWS_AS(store.extend({}, digest_of("no layer"), {}), Error);
  const Layer layer = lazy_layer("base");
  store.add_lazy_layer(layer);
  CHECK_THROWS_AS(store.extend(digest_of("no parent"), layer.id, {}), Error);
  CHECK_FALSE(store.chain(digest_of("no parent")));
  CHECK_THROWS_AS(store.chain_layers(digest_of("no parent")), Error);
}

TEST_CASE("staging that is not published leaves nothing") {
  TempStore temp;
  Store store(temp.options());
  std::string path;
  {
    Staging staging = store.stage("purpose/with slash");
    path = staging.path();
    write_file(staging.tree_fd(), "deep/er/file", "x");
    write_file(staging.work_fd(), "w", "x");
    CHECK((sys::stat_fd(staging.tree_fd()).st_mode & 07777) == 0755);
    CHECK(sys::try_stat_at(AT_FDCWD, path));
  }
  CHECK_FALSE(sys::try_stat_at(AT_FDCWD, path));
  CHECK(sys::list_dir(sys::open_at(store.root_fd(), "tmp", O_RDONLY | O_DIRECTORY).get()).empty());
}

TEST_CASE("a tree that vanished is forgotten with all that stood on it") {
  TempStore temp;
  Store store(temp.options());
  const Chain below = add_file_layer(store, {}, "a", "1"), middle = add_file_layer(store, below.id, "b", "2"),
              top = add_file_layer(store, middle.id, "c", "3");
  for (const Chain& chain : {below, middle, top}) store.publish(record_of(chain.id, chain.id));
  store.set_memo(middle.id, digest_of("sel"), digest_of("d"));
  sys::remove_all_at(store.root_fd(), "snapshots/" + middle.layer.hex());
  CHECK_THROWS_AS(store.open_tree(middle.layer), Error);
  CHECK(store.find(below.id));
  CHECK_FALSE(store.find(middle.id));
  CHECK_FALSE(store.find(top.id));
  CHECK_FALSE(store.memo(middle.id, digest_of("sel")));
  const Chain again = add_file_layer(store, below.id, "b", "2");
  store.publish(record_of(middle.id, again.id));
  CHECK(store.find(middle.id));
}

TEST_CASE("a tree that vanished but can be fetched again costs only the tree") {
  TempStore temp;
  Store store(temp.options());
  const Layer layer = lazy_layer("base");
  Staging staging = store.stage("x");
  store.add_tree(layer, std::move(staging));
  const Chain chain = store.extend({}, layer.id, {});
  store.publish(record_of(digest_of("k"), chain.id));
  sys::remove_all_at(store.root_fd(), "snapshots/" + layer.id.hex());
  CHECK_THROWS_AS(store.open_tree(layer.id), Error);
  CHECK_FALSE(store.layer(layer.id)->has_tree);
  CHECK(store.find(digest_of("k")));
}

TEST_CASE("packing is remembered") {
  TempStore temp;
  Store store(temp.options());
  const Chain chain = add_file_layer(store, {}, "a", "1");
  const auto blob = oci::put_blob(store.blobs(), "packed", std::string(oci::media_type::kLayerGzip));
  store.set_packed(chain.layer, digest_of("diff"), blob);
  const auto layer = store.layer(chain.layer);
  REQUIRE(layer);
  CHECK(layer->diff_id == digest_of("diff"));
  CHECK(layer->blob == blob);
  CHECK(layer->has_blob);
  CHECK(store.layer_by_diff_id(digest_of("diff"))->id == chain.layer);
}

TEST_CASE("memos") {
  TempStore temp;
  Store store(temp.options());
  CHECK_FALSE(store.memo(digest_of("c"), digest_of("s")));
  store.set_memo(digest_of("c"), digest_of("s"), digest_of("d"));
  CHECK(store.memo(digest_of("c"), digest_of("s")) == digest_of("d"));
  CHECK_FALSE(store.memo(digest_of("c"), digest_of("t")));
}

TEST_CASE("cache mounts: sharing and content") {
  TempStore temp;
  Store store(temp.options()), other(temp.options());
  {
    auto mount = store.try_cache_mount("/root/.cache", {}, kShared, 0, [](int dir) { write_file(dir, "seed", "s"); });
    REQUIRE(mount);
    CHECK(mount->fresh);
    write_file(mount->dir.get(), "kept", "x");
    auto again = other.try_cache_mount("/root/.cache", {}, kShared, 0);
    REQUIRE(again);
    CHECK_FALSE(again->fresh);
    CHECK(sys::read_file_at(again->dir.get(), "seed", 10) == "s");
    CHECK(sys::read_file_at(AT_FDCWD, again->path + "/kept", 10) == "x");
    CHECK_FALSE(other.try_cache_mount("/root/.cache", {}, kLocked, 0));
  }
  auto locked = store.try_cache_mount("/root/.cache", {}, kLocked, 0);
  REQUIRE(locked);
  CHECK_FALSE(locked->fresh);
  CHECK_FALSE(other.try_cache_mount("/root/.cache", {}, kShared, 0));
  auto based = other.try_cache_mount("/root/.cache", digest_of("base"), kShared, 0);
  REQUIRE(based);
  CHECK(based->fresh);
  auto first = store.try_cache_mount("p", {}, kPrivate, 0);
  CHECK_FALSE(other.try_cache_mount("p", {}, kPrivate, 0));
  auto second = other.try_cache_mount("p", {}, kPrivate, 1);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->path != second->path);
}

TEST_CASE("builds are listed newest first and old ones are dropped") {
  TempStore temp;
  Store store(temp.options());
  const std::int64_t now = sys::now_ns();
  for (int i = 0; i < 55; ++i) {
    store.add_build({cat("b", i), "name", "ok", "Dockerfile", "target", now + i, now + i + 1, 3, 2, "{}"});
  }
  const auto builds = store.builds(1000);
  REQUIRE(builds.size() == kKeptBuilds);
  CHECK(builds.front().id == "b54");
  CHECK(builds.front().steps_total == 3);
  CHECK(builds.front().steps_cached == 2);
  CHECK(builds.front().detail_json == "{}");
  CHECK(store.builds(2).size() == 2);
  store.add_build({"later", "name", "ok", "", "", now + 2 * kKeptBuildsForNs, 0, 0, 0, ""});
  CHECK(store.builds(1000).size() == 1);
}

TEST_CASE("the store's secret is random, private and stays") {
  TempStore temp, other;
  Store store(temp.options()), second(temp.options()), different(other.options());
  const std::string key = secret_key(store);
  CHECK(key.size() == 64);
  CHECK(secret_key(second) == key);
  CHECK(secret_key(different) != key);
  CHECK((sys::try_stat_at(store.root_fd(), "secret-key")->st_mode & 07777) == 0600);
}

TEST_CASE("locks exclude and name anything") {
  TempStore temp;
  Store store(temp.options()), other(temp.options());
  const std::string name = "a key/with: odd\ncharacters" + std::string(300, 'x');
  auto lock = store.try_lock(name);
  REQUIRE(lock);
  CHECK_FALSE(other.try_lock(name));
  CHECK_FALSE(other.wait_lock(name, [] { return true; }));
  lock.reset();
  CHECK(other.try_lock(name));
}

TEST_CASE("the default root") {
  ::setenv("CBUILD_ROOT", "/some/where", 1);
  CHECK(default_root() == "/some/where");
  ::unsetenv("CBUILD_ROOT");
  if (::geteuid() == 0) CHECK(default_root() == "/var/lib/cbuild");
}

TEST_CASE("a pure lookup writes nothing") {
  TempStore temp;
  {
    Store store(temp.options());
    const Chain chain = add_file_layer(store, {}, "a", "1");
    store.publish(record_of(digest_of("k"), chain.id));
    store.make_durable();
  }
  const auto log_size = [&] { return sys::stat_at(AT_FDCWD, temp.root + "/index.db-wal").st_size; };
  CHECK(log_size() == 0);
  {
    Store store(temp.options());
    CHECK(store.find(digest_of("k")));
    store.make_durable();
  }
  CHECK(log_size() == 0);
}
