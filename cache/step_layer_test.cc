// SPDX-License-Identifier: Apache-2.0
#include "cache/step_layer.h"

#include <doctest/doctest.h>

#include "cache/test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

Layer layer_named(const std::string& description) {
  Layer layer;
  layer.id = random_layer_id();
  layer.description = description;
  return layer;
}

std::size_t count_tmp(const TempStore& temp) {
  return sys::list_dir(sys::open_at(AT_FDCWD, temp.root + "/tmp", O_RDONLY | O_DIRECTORY).get()).size();
}

}  // namespace

TEST_CASE("a step's tree becomes a layer and a chain at once") {
  TempStore temp;
  Store store(temp.options());
  const Chain base = add_file_layer(store, {}, "a", "1");
  Staging staging = store.stage("run");
  write_file(staging.tree_fd(), "b", "2");
  const Layer layer = layer_named("RUN b");
  const Chain chain = add_tree_on(store, base.id, layer, std::move(staging), digest_of("identity"));
  CHECK(chain.parent == base.id);
  CHECK(chain.layer == layer.id);
  CHECK(chain.depth == 2);
  CHECK(chain.identity == digest_of("identity"));
  CHECK(store.chain_layers(chain.id) == std::vector<Digest>{base.layer, layer.id});
  CHECK(sys::read_file_at(store.open_tree(layer.id).get(), "b", 10) == "2");
  REQUIRE(store.layer(layer.id));
  CHECK(store.layer(layer.id)->has_tree);
  // Known to a process that opens the store later.
  Store again(temp.options());
  CHECK(again.chain(chain.id) == chain);
}

TEST_CASE("a step on a parent that is gone leaves neither layer nor litter") {
  TempStore temp;
  Store store(temp.options());
  const Layer layer = layer_named("RUN x");
  {
    Staging staging = store.stage("run");
    (void)staging.work_fd();
    CHECK_THROWS_AS(add_tree_on(store, digest_of("nothing"), layer, std::move(staging), {}), Error);
  }
  CHECK_FALSE(store.layer(layer.id));
  CHECK(count_tmp(temp) == 0);
}

TEST_CASE("an overlay's work directory goes when nobody waits") {
  TempStore temp;
  Store store(temp.options());
  Staging staging = store.stage("run");
  sys::mkdir_all(staging.work_fd(), "work/incompat/volatile", 0000);
  add_tree_on(store, {}, layer_named("RUN x"), std::move(staging), {});
  CHECK(count_tmp(temp) == 1);
  remove_leftovers(store);
  CHECK(count_tmp(temp) == 0);
  SUBCASE("a step that failed takes it along") {
    {
      Staging failed = store.stage("run");
      (void)failed.work_fd();
      CHECK(count_tmp(temp) == 2);
    }
    CHECK(count_tmp(temp) == 0);
  }
}
