// SPDX-License-Identifier: Apache-2.0
// Two stores play two machines: one exports, the other builds with its records and fetches its layers when they are
// needed.
#include "cache/remote/remote_cache.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <future>
#include <limits>
#include <thread>

#include "base/error.h"
#include "base/test_wait.h"
#include "cache/cached_layers.h"
#include "cache/claimed_layer.h"
#include "cache/layer_tables.h"
#include "cache/packer.h"
#include "cache/test_support.h"
#include "cache/unpacker.h"
#include "oci/layer/pack.h"

namespace cbuild::cache {
namespace {

using namespace testing;
using namespace std::chrono_literals;

constexpr char kLocator[] = "docker-image://registry.test/team/cache:main";

/// A cache that another machine has exported: two layers, the upper one by "RUN b".
struct Far {
  TempStore place;
  Store store{place.options()};
  RemoteIndex index;

  Far() {
    RemoteIndexBuilder builder;
    Digest chain;
    std::int64_t at = -1;
    for (const std::string name : {"a", "b"}) {
      chain = add_file_layer(store, chain, name, "content of " + name).id;
      Packer packer(store, {});
      const Layer layer = packer.finish(chain).back();
      at = builder.chain(at, builder.layer({layer.diff_id, *layer.blob, {}, "RUN " + name, 1234}),
                         digest_of("identity " + name));
      builder.record({{digest_of("content " + name), digest_of("definition " + name), digest_of("other " + name)},
                      at,
                      "RUN " + name,
                      77,
                      88,
                      20000,
                      {{"op", name}}});
    }
    index = builder.take();
  }

  RemoteSource source() {
    return {"registry far", [this] { return RemoteDocument{index, kLocator}; }};
  }
  /// A fetcher over the far store.
  BlobFetcher fetcher(Store&) {
    return [this](const Layer& layer, oci::BlobStore& into) {
      const std::string bytes = oci::read_blob(store.blobs(), layer.blob->digest);
      oci::put_blob(into, bytes, layer.blob->media_type);
    };
  }
};

/// The reports.
struct Reports {
  std::mutex mutex;
  std::vector<std::string> texts;
  RemoteCache::Options options(std::chrono::milliseconds timeout = 60s) {
    RemoteCache::Options options;
    options.timeout = timeout;
    options.report = [this](Severity severity, const std::string& text) {
      const std::scoped_lock lock(mutex);
      texts.push_back((severity == Severity::warning ? "warning: " : "note: ") + text);
    };
    return options;
  }
};

RemoteSource failing(ErrorCode code) {
  return {"registry dead", [code]() -> RemoteDocument { throw Error(code, "no answer"); }};
}

TEST_CASE("a hit in a remote cache makes lazy layers and a record of the store") {
  Far far;
  TempStore near;
  Store store(near.options());
  Reports reports;
  for (const char* key : {"content b", "definition b", "other b"}) {
    RemoteCache remote(store, {far.source()}, reports.options());
    const auto record = remote.find(digest_of(key));
    REQUIRE(record);
    CHECK(record->created_ns == 77);
    CHECK(store.chain(record->chain)->identity == digest_of("identity b"));
    const auto layers = store.chain_layers(record->chain);
    REQUIRE(layers.size() == 2);
    const auto top = store.layer(layers[1]);
    CHECK_FALSE(top->has_tree);
    CHECK_FALSE(top->has_blob);
    CHECK(top->created_ns == 1234);
    CHECK(top->fetch_from == std::string(kCacheOrigin) + kLocator);
    CHECK(store.find(digest_of(key))->parts == far.index.records[1].parts);
  }
  CHECK_FALSE(store.find(digest_of("content a")));  // only what was asked for
  CHECK(reports.texts.empty());
}

TEST_CASE("the layers of a remote hit are fetched when they are needed") {
  Far far;
  TempStore near;
  Store store(near.options());
  Digest chain;
  {
    RemoteCache remote(store, {far.source()}, {});
    chain = remote.find(digest_of("content b"))->chain;
  }
  materialize(store, chain, far.fetcher(store), nullptr, nullptr);
  const TreeView view = open_view(store, chain);
  CHECK(sys::read_all(view.open("a", O_RDONLY).get(), 100) == "content of a");
  CHECK(sys::read_all(view.open("b", O_RDONLY).get(), 100) == "content of b");
}

TEST_CASE("a layer that is here already is used as it is") {
  Far far;
  TempStore near;
  Store store(near.options());
  const Digest chain = add_file_layer(store, {}, "a", "content of a").id;
  Packer packer(store, {});
  const Layer mine = packer.finish(chain).back();
  far.index.layers[0].diff_id = mine.diff_id;
  RemoteCache remote(store, {far.source()}, {});
  const auto record = remote.find(digest_of("content a"));
  REQUIRE(record);
  CHECK(store.chain_layers(record->chain) == std::vector{mine.id});
  // The chain was known under an identity of its own; the record's is what readers are keyed by.
  CHECK(record->chain != chain);
  CHECK(store.chain(record->chain)->identity == digest_of("identity a"));
  CHECK(store.chain(chain)->identity != digest_of("identity a"));
}

TEST_CASE("a dead source is a warning, a missing one a note, and the others are used") {
  Far far;
  TempStore near;
  Store store(near.options());
  Reports reports;
  {
    RemoteCache remote(store, {failing(ErrorCode::network), failing(ErrorCode::not_found), far.source()},
                       reports.options());
    CHECK(remote.find(digest_of("content a")));
    CHECK_FALSE(remote.find(digest_of("content nobody has")));
  }
  std::sort(reports.texts.begin(), reports.texts.end());
  CHECK(reports.texts == std::vector<std::string>{"note: cache registry dead is not used: no answer",
                                                  "warning: cache registry dead is not used: no answer"});
}

TEST_CASE("a slow source is not waited for beyond the timeout, nor at the end") {
  Far far;
  TempStore near;
  Store store(near.options());
  Reports reports;
  std::promise<void> abandoned;
  RemoteSource slow{"registry slow", [&, wait = abandoned.get_future().share()]() -> RemoteDocument {
                      wait.wait();
                      throw Error(ErrorCode::cancelled, "cancelled");
                    }};
  {
    auto options = reports.options(20ms);
    options.abandon = [&] { abandoned.set_value(); };
    RemoteCache remote(store, {std::move(slow), far.source()}, std::move(options));
    CHECK_FALSE(remote.find(digest_of("content nobody has")));
    const test::Awaiting awaiting("the record of the other source");
    while (!remote.find(digest_of("content a"))) std::this_thread::yield();  // the other one comes, if not at once
    CHECK_FALSE(remote.find(digest_of("content nobody has")));
  }
  // On a busy machine the other source may be late as well.
  CHECK(std::count(reports.texts.begin(), reports.texts.end(),
                   "warning: cache registry slow is not waited for any longer") == 1);
}

TEST_CASE("a source tells its manifest and the time of its steps, whatever stands there") {
  Far far;
  TempStore near;
  Store store(near.options());
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  far.index.records[1].duration_ns = -5;
  RemoteSource source{"registry far", [&] { return RemoteDocument{far.index, kLocator, "the manifest"}; }};
  {
    RemoteCache remote(store, {source}, {});
    CHECK(remote.find(digest_of("content a")));  // it is read by now
    CHECK(remote.steps_ns(kLocator) == 88);
    CHECK(remote.steps_ns("docker-image://elsewhere/x") == 0);
    CHECK(remote.body_of("registry far") == "the manifest");
    CHECK(remote.body_of("registry elsewhere").empty());
  }
  far.index.records[0].duration_ns = far.index.records[1].duration_ns = most;
  RemoteCache remote(store, {source}, {});
  CHECK(remote.find(digest_of("content a")));
  CHECK(remote.steps_ns(kLocator) > most / 16);
}

TEST_CASE("a layer that is not available any more makes its records misses") {
  Far far;
  TempStore near;
  Store store(near.options());
  RemoteCache remote(store, {far.source()}, {});
  const auto upper = remote.find(digest_of("content b"));
  const auto lower = remote.find(digest_of("content a"));
  const Digest top = store.chain_layers(upper->chain)[1];
  forget_missing_layer(store, top);
  CHECK_FALSE(store.find(digest_of("content b")));
  CHECK_FALSE(remote.find(digest_of("definition b")));
  CHECK(store.find(digest_of("content a")));
  // A base may have the same layer: it can be known again.
  Layer base;
  base.id = base.diff_id = top;
  base.blob = far.index.layers[1].blob;
  base.fetch_from = "docker-image://base";
  store.add_lazy_layer(base);
  CHECK(store.extend(lower->chain, top, {}).depth == 2);
}

TEST_CASE("a source whose registry is gone is not asked for further layers") {
  Far far;
  TempStore near;
  Store store(near.options());
  RemoteCache remote(store, {far.source()}, {});
  const Digest chain = remote.find(digest_of("content a"))->chain;
  forget_missing_layer(store, store.chain_layers(chain)[0], std::string(kCacheOrigin) + kLocator);
  CHECK_FALSE(remote.find(digest_of("content b")));
}

TEST_CASE("a damaged layer of a remote cache is missing content, not an error of the build") {
  Far far;
  TempStore near;
  Store store(near.options());
  far.index.layers[1].diff_id = digest_of("something else");
  RemoteCache remote(store, {far.source()}, {});
  const Digest chain = remote.find(digest_of("content b"))->chain;
  CHECK(finds_missing_content([&] { materialize(store, chain, far.fetcher(store), nullptr, nullptr); }));
  CHECK_FALSE(store.find(digest_of("content b")));
  CHECK_FALSE(remote.find(digest_of("content b")));
}

TEST_CASE("a cache that lies about a base's layer has missing content, and the base does not") {
  Far far;
  TempStore near;
  Store store(near.options());
  const RemoteIndex::LayerEntry honest = far.index.layers[0];
  far.index.layers[0].blob = far.index.layers[1].blob;
  far.index.layers[0].origin = "docker-image://registry.test/base:1";
  RemoteCache remote(store, {far.source()}, {});
  const Digest chain = remote.find(digest_of("content a"))->chain;
  CHECK(finds_missing_content([&] { materialize(store, chain, far.fetcher(store), nullptr, nullptr); }));
  CHECK_FALSE(store.find(digest_of("content a")));
  CHECK_FALSE(remote.find(digest_of("content a")));
  Layer base;
  base.diff_id = honest.diff_id;
  base.blob = honest.blob;
  base.fetch_from = "docker-image://registry.test/base:1";
  const Digest known = add_claimed_layer(store, base);
  materialize(store, store.extend({}, known, {}).id, far.fetcher(store), nullptr, nullptr);
  CHECK(sys::read_file_at(store.open_tree(known).get(), "a", 100) == "content of a");
}

TEST_CASE("a base's layer has one id, whether the image or a cache named it") {
  Far far;
  TempStore near;
  Store store(near.options());
  far.index.layers[0].origin = "docker-image://registry.test/base:1";
  Layer base;
  base.diff_id = far.index.layers[0].diff_id;
  base.blob = far.index.layers[0].blob;
  base.fetch_from = far.index.layers[0].origin;
  RemoteCache remote(store, {far.source()}, {});
  const auto record = remote.find(digest_of("content a"));
  REQUIRE(record);
  CHECK(store.chain_layers(record->chain) == std::vector{add_claimed_layer(store, base)});
}

TEST_CASE("what a base claims does not answer for a layer of a cache") {
  Far far;
  TempStore near;
  Store store(near.options());
  Layer lie;
  lie.diff_id = far.index.layers[0].diff_id;
  lie.blob = far.index.layers[1].blob;
  lie.fetch_from = "docker-image://registry.test/liar:1";
  const Digest claimed = add_claimed_layer(store, lie);
  RemoteCache remote(store, {far.source()}, {});
  const auto record = remote.find(digest_of("content a"));
  REQUIRE(record);
  CHECK(store.chain_layers(record->chain) != std::vector{claimed});
  materialize(store, record->chain, far.fetcher(store), nullptr, nullptr);
}

TEST_CASE("a cache mount is found by its key") {
  Far far;
  TempStore near;
  Store store(near.options());
  const std::string key = digest_of("mount").hex();
  far.index.mounts = {{"id", key, far.index.layers[0].diff_id, far.index.layers[0].blob}};
  RemoteCache remote(store, {far.source()}, {});
  const auto mount = remote.mount(key);
  REQUIRE(mount);
  CHECK(mount->blob == far.index.layers[0].blob);
  CHECK(mount->fetch_from == std::string(kCacheOrigin) + kLocator);
  CHECK_FALSE(remote.mount(digest_of("other").hex()));
}

TEST_CASE("the table of a layer is offered to that layer only") {
  Far far;
  RemoteIndex::LayerEntry& entry = far.index.layers[0];
  entry.table = {.media_type = kLayerTableType, .digest = digest_of("table"), .size = 5};
  TempStore near;
  Store store(near.options());
  RemoteCache remote(store, {far.source()}, {});
  Layer layer;
  layer.diff_id = entry.diff_id;
  layer.blob = entry.blob;
  const auto table = remote.table(layer);
  REQUIRE(table);
  CHECK(table->blob == entry.table);
  CHECK(table->fetch_from == std::string(kCacheOrigin) + kLocator);
  layer.diff_id = digest_of("another");
  CHECK_FALSE(remote.table(layer));
  layer.diff_id = entry.diff_id;
  layer.blob = far.index.layers[1].blob;
  CHECK_FALSE(remote.table(layer));
  layer.diff_id = far.index.layers[1].diff_id;
  CHECK_FALSE(remote.table(layer));  // it has none
}

}  // namespace
}  // namespace cbuild::cache
