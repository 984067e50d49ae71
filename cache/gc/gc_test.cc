// SPDX-License-Identifier: Apache-2.0
// What gc takes, what it leaves, and in which order. A store is filled by a handle that ends, so that nothing is pinned
// unless the case does it.
#include "cache/gc/gc.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>

#include "cache/content/tree_digest.h"
#include "cache/gc/gc_state.h"
#include "cache/gc/gc_take.h"
#include "cache/store_impl.h"
#include "cache/test_support.h"
#include "cache/unpacker.h"
#include "oci/manifest.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

std::size_t count(const std::vector<Usage::Item>& items, const std::string& kind) {
  return static_cast<std::size_t>(
      std::count_if(items.begin(), items.end(), [&](const auto& item) { return item.kind == kind; }));
}

std::string big(char c, std::size_t kib = 64) { return std::string(kib << 10, c); }

/// Made by a process that is gone, so that nothing is pinned any more.
struct Built {
  Chain below, top;
  Digest below_key = digest_of("below"), top_key = digest_of("top");
};
Built build_two(const TempStore& temp) {
  Store store(temp.options());
  Built out;
  out.below = add_file_layer(store, {}, "a", big('a'));
  out.top = add_file_layer(store, out.below.id, "b", big('b'));
  store.publish(record_of(out.below_key, out.below.id));
  store.publish(record_of(out.top_key, out.top.id));
  return out;
}

std::vector<std::string> names_in(Store& store, const char* directory) {
  return sys::list_dir(sys::open_at(store.root_fd(), directory, O_RDONLY | O_DIRECTORY).get());
}

}  // namespace

TEST_CASE("usage counts real blocks") {
  TempStore temp;
  build_two(temp);
  Store store(temp.options());
  oci::put_blob(store.blobs(), big('x', 100), "x");
  const Usage usage = disk_usage(store);
  CHECK(count(usage.items, "layer") == 2);
  CHECK(count(usage.items, "blob") == 1);
  for (const auto& item : usage.items) {
    if (item.kind != "layer") continue;
    CHECK(item.bytes >= 64 << 10);
    CHECK(item.bytes < 128 << 10);
    CHECK(item.description == "test layer");
    CHECK_FALSE(item.in_use);
  }
  CHECK(usage.total_bytes >= usage.reclaimable_bytes);
  CHECK(usage.reclaimable_bytes >= 128 << 10);
}

TEST_CASE("prune without limits takes everything that is not used, and leaves tombstones") {
  TempStore temp;
  const Built built = build_two(temp);
  Store store(temp.options());
  const auto removed = prune(store, {});
  CHECK(count(removed, "layer") == 2);
  CHECK_FALSE(store.find(built.top_key));
  CHECK_FALSE(store.find(built.below_key));
  CHECK(store.evicted_at_ns(built.top_key));
  CHECK_FALSE(store.evicted_at_ns(digest_of("never")));
  CHECK(names_in(store, "snapshots").empty());
  CHECK(disk_usage(store).total_bytes < 64 << 10);
  CHECK(prune(store, {}).empty());
}

TEST_CASE("a layer that a live handle found stays, with all below it") {
  TempStore temp;
  const Built built = build_two(temp);
  Store user(temp.options()), store(temp.options());
  REQUIRE(user.find(built.top_key));
  CHECK(prune(store, {}).empty());
  CHECK_FALSE(user.open_tree(built.below.layer).get() < 0);
  CHECK(store.find(built.below_key));
  bool in_use = false;
  for (const auto& item : disk_usage(store).items) in_use = in_use || item.in_use;
  CHECK(in_use);
}

TEST_CASE("only the lower part is in use: the layers on it may go") {
  TempStore temp;
  const Built built = build_two(temp);
  Store user(temp.options()), store(temp.options());
  REQUIRE(user.find(built.below_key));
  CHECK(count(prune(store, {}), "layer") == 1);
  CHECK(user.find(built.below_key));
  CHECK_FALSE(user.find(built.top_key));
}

TEST_CASE("a limit takes the least recently used first and stops") {
  TempStore temp;
  Digest keys[3];
  {
    Store store(temp.options());
    for (int i = 0; i < 3; ++i) {
      keys[i] = digest_of(cat("k", i));
      store.publish(record_of(keys[i], add_file_layer(store, {}, "f", big(static_cast<char>('a' + i))).id));
    }
  }
  Store store(temp.options());
  PruneOptions options;
  options.max_used_bytes = 200 << 10;
  CHECK(count(prune(store, options), "layer") == 1);
  CHECK_FALSE(store.find(keys[0]));
  CHECK(store.find(keys[1]));
  CHECK(store.find(keys[2]));
  CHECK(prune(store, options).empty());
}

TEST_CASE("the floor wins over the cap, and age protects") {
  TempStore temp;
  build_two(temp);
  Store store(temp.options());
  PruneOptions options;
  options.max_used_bytes = 0;
  options.reserved_bytes = 1u << 30;
  CHECK(prune(store, options).empty());
  options.reserved_bytes.reset();
  options.unused_for_ns = 3'600'000'000'000;
  CHECK(prune(store, options).empty());
  options.unused_for_ns = 0;
  CHECK(count(prune(store, options), "layer") == 2);
}

TEST_CASE("a free-space wish counts too") {
  TempStore temp;
  build_two(temp);
  Store store(temp.options());
  PruneOptions options;
  options.min_free_bytes = UINT64_MAX / 2;
  CHECK(count(prune(store, options), "layer") == 2);
  CHECK(default_limits(store).size() == 4);
  CHECK(default_limits(store)[2].reserved_bytes <= default_limits(store)[2].max_used_bytes);
  for (const PruneOptions& rule : default_limits(store)) CHECK_FALSE(rule.all);
}

TEST_CASE("a dry run lists the items that would go and takes nothing; a condition chooses") {
  TempStore temp;
  const Built built = build_two(temp);
  Store store(temp.options());
  PruneOptions options;
  options.dry_run = true;
  const auto rehearsed = prune(store, options);
  CHECK(count(rehearsed, "layer") == 2);
  for (const auto& item : rehearsed) CHECK(item.why == "no named image needs it");
  CHECK(names_in(store, "snapshots").size() == 2);
  options.dry_run = false;
  options.wanted = [&](const Usage::Item& item) { return item.id == built.below.layer.hex(); };
  CHECK(prune(store, options).empty());  // something stands on it
  options.wanted = [&](const Usage::Item& item) { return item.parent == built.below.layer.hex(); };
  const auto removed = prune(store, options);
  REQUIRE(removed.size() == 1);
  CHECK(removed[0].id == built.top.layer.hex());
  CHECK(Store(temp.options()).find(built.below_key));
}

TEST_CASE("parts of a named image that a registry has may be taken, and the name stays") {
  TempStore temp;
  Digest layer_digest, manifest_digest;
  {
    Store store(temp.options());
    oci::Manifest manifest;
    manifest.config = oci::put_blob(store.blobs(), "{}", std::string(oci::media_type::kConfig));
    manifest.layers = {oci::put_blob(store.blobs(), big('t'), std::string(oci::media_type::kLayer))};
    layer_digest = manifest.layers[0].digest;
    Layer layer;
    layer.id = layer.diff_id = digest_of("diff");
    layer.blob = manifest.layers[0];
    layer.fetch_from = "docker-image://registry/x@sha256:0";
    store.add_lazy_layer(layer);
    store.extend({}, layer.id, {});
    manifest_digest = oci::put_blob(store.blobs(), oci::to_json(manifest), manifest.media_type).digest;
    store.set_image({"x", manifest_digest, 1});
  }
  Store store(temp.options());
  CHECK(prune(store, {}).empty());
  PruneOptions options;
  options.fetchable = true;
  CHECK_FALSE(prune(store, options).empty());
  CHECK(store.images().size() == 1);
  Store reader(temp.options());
  CHECK_FALSE(reader.blobs().size(layer_digest));
  CHECK(reader.blobs().size(manifest_digest));
}

TEST_CASE("automatic gc rests for a minute") {
  TempStore temp;
  build_two(temp);
  Store store(temp.options());
  CHECK(gc_is_due(store));
  collect_if_due(store);
  CHECK_FALSE(gc_is_due(store));
}

TEST_CASE("a named image keeps its blobs unless all is asked for") {
  TempStore temp;
  Digest manifest_digest, layer_digest;
  {
    Store store(temp.options());
    const Chain chain = add_file_layer(store, {}, "a", big('a'));
    oci::Manifest manifest;
    manifest.config = oci::put_blob(store.blobs(), "{}", std::string(oci::media_type::kConfig));
    manifest.layers = {oci::put_blob(store.blobs(), big('t'), std::string(oci::media_type::kLayer))};
    layer_digest = manifest.layers[0].digest;
    store.set_packed(chain.layer, digest_of("diff"), manifest.layers[0]);
    manifest_digest = oci::put_blob(store.blobs(), oci::to_json(manifest), manifest.media_type).digest;
    oci::put_blob(store.blobs(), "loose", "x");
    store.set_image({"x", manifest_digest, 1});
  }
  Store store(temp.options());
  const auto removed = prune(store, {});
  CHECK(count(removed, "layer") == 0);
  CHECK(count(removed, "blob") == 1);
  {
    Store reader(temp.options());
    CHECK(oci::read_blob(reader.blobs(), layer_digest) == big('t'));
  }
  PruneOptions all;
  all.all = true;
  CHECK(count(prune(store, all), "layer") == 1);
  CHECK(store.images().empty());
  CHECK(names_in(store, "blobs/sha256").empty());
}

TEST_CASE("a blob somebody just wrote stays while he lives") {
  TempStore temp;
  Store writer(temp.options()), store(temp.options());
  const Digest digest = oci::put_blob(writer.blobs(), "fresh", "x").digest;
  CHECK(prune(store, {}).empty());
  CHECK(oci::read_blob(writer.blobs(), digest) == "fresh");
}

TEST_CASE("kinds choose") {
  TempStore temp;
  build_two(temp);
  {
    Store store(temp.options());
    REQUIRE(store.try_cache_mount("id", {}, 0, 0));
  }
  Store store(temp.options());
  PruneOptions options;
  options.kinds = {"cachemount"};
  {
    auto used = store.try_cache_mount("id", {}, 0, 0);
    CHECK(prune(store, options).empty());
  }
  const auto removed = prune(store, options);
  CHECK(removed.size() == 1);
  CHECK(count(removed, "cachemount") == 1);
  CHECK(store.try_cache_mount("id", {}, 0, 0)->fresh);
  CHECK(count(disk_usage(store).items, "layer") == 2);
}

TEST_CASE("removed items can be made again under the same names") {
  TempStore temp;
  Layer base;
  base.id = base.diff_id = digest_of("diff");
  const auto make = [&] {
    Store store(temp.options());
    Staging staging = store.stage("x");
    write_file(staging.tree_fd(), "f", "1");
    store.add_tree(base, std::move(staging));
    const Chain chain = store.extend({}, base.id, {});
    store.publish(record_of(digest_of("k"), chain.id));
  };
  for (int i = 0; i < 3; ++i) {
    make();
    Store store(temp.options());
    CHECK(count(prune(store, {}), "layer") == 1);
    CHECK_FALSE(store.find(digest_of("k")));
  }
  make();
  CHECK(Store(temp.options()).find(digest_of("k")));
}

TEST_CASE("flattened prefixes go with their chain") {
  TempStore temp;
  Digest chain;
  {
    Store store(temp.options());
    for (int i = 0; i < 6; ++i) chain = add_file_layer(store, chain, cat("f", i), "x").id;
    open_lowers(store, chain, 3);
    CHECK(names_in(store, "flats").size() == 1);
    prune(store, {});
    CHECK(names_in(store, "flats").size() == 1);
  }
  Store store(temp.options());
  CHECK(count(prune(store, {}), "layer") == 6);
  CHECK(names_in(store, "flats").empty());
}

TEST_CASE("leftovers of dead processes are removed, those of live ones are not") {
  TempStore temp;
  Store store(temp.options());
  CHECK(in_child([&] {
          Store other(temp.options());
          Staging staging = other.stage("dead");
          write_file(staging.tree_fd(), "f", "x");
          other.try_lock("a lock");
          ::raise(SIGKILL);
          return 0;
        }) == 128 + SIGKILL);
  const Staging live = store.stage("live");
  CHECK(names_in(store, "tmp").size() == 2);
  clean_up_leftovers(store);
  REQUIRE(names_in(store, "tmp").size() == 1);
  CHECK(names_in(store, "tmp")[0].ends_with(".live"));
  CHECK(names_in(store, "leases").size() == 1);
}

TEST_CASE("orphans are removed, a gc that was killed is finished") {
  TempStore temp;
  const Built built = build_two(temp);
  Store store(temp.options());
  sys::mkdir_all(store.root_fd(), "snapshots/" + digest_of("orphan").hex() + "/fs", 0755);
  sys::mkdir_all(store.root_fd(), "snapshots/garbage", 0755);
  PruneOptions nothing;
  nothing.kinds = {"tmp"};
  CHECK(prune(store, nothing).empty());
  CHECK(names_in(store, "snapshots").size() == 2);
  CHECK(store.find(built.top_key));
}

TEST_CASE("a chain that is made while gc chooses stays for who finds it") {
  TempStore temp;
  Layer base;
  base.id = base.diff_id = digest_of("diff");
  Store cleaner(temp.options());
  {
    Store store(temp.options());
    Staging staging = store.stage("x");
    write_file(staging.tree_fd(), "f", "1");
    store.add_tree(base, std::move(staging));
  }
  const GcState state = read_state(cleaner.impl());
  Usage::Item victim;
  victim.kind = "layer";
  victim.id = base.id.hex();
  {
    Store store(temp.options());
    store.publish(record_of(digest_of("k"), store.extend({}, base.id, {}).id));
  }
  Store finder(temp.options());
  const auto found = finder.find(digest_of("k"));
  REQUIRE(found);
  CHECK(take(cleaner, state, {victim}, {}).empty());
  CHECK(open_view(finder, found->chain).read_file("f", 10) == "1");
}

TEST_CASE("builders and gc at the same time: nothing found is ever missing") {
  TempStore temp;
  { Store store(temp.options()); }
  const pid_t parent = ::getpid(), cleaner = ::fork();
  if (cleaner == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // where the parent is killed by a time limit
    if (::getppid() != parent) ::_exit(1);
    try {
      for (;;) {
        Store store(temp.options());
        prune(store, {});
      }
    } catch (...) {
    }
    ::_exit(1);
  }
  int status = 0;
  ScopeExit end_cleaner([&] {
    ::kill(cleaner, SIGKILL);
    ::waitpid(cleaner, &status, 0);
  });
  int hits = 0, builds = 0;
  for (int round = 0; round < 60; ++round) {
    Store store(temp.options());
    Digest chain;
    for (int step = 0; step < 4; ++step) {
      const Digest key = digest_of(cat("step", step, round % 3));
      const auto found = store.find(key);
      if (found && store.chain(found->chain)->parent == chain) {
        ++hits;
        chain = found->chain;
      } else {
        ++builds;
        chain = add_file_layer(store, chain, cat("f", step), std::to_string(step)).id;
        store.publish(record_of(key, chain));
      }
    }
    const TreeView view = open_view(store, chain);
    for (int step = 0; step < 4; ++step) CHECK(view.read_file(cat("f", step), 10) == std::to_string(step));
  }
  siginfo_t ended{};
  CHECK(::waitid(P_PID, static_cast<id_t>(cleaner), &ended, WEXITED | WNOHANG | WNOWAIT) == 0);
  CHECK(ended.si_pid == 0);  // it has not failed
  MESSAGE(hits, " hits, ", builds, " builds");
}
