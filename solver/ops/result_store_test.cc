// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "solver/ops/ops_fixture.h"
#include "solver/result_store_conformance.h"

namespace cbuild::solver::ops {
namespace {

using namespace testing;
using cache::testing::write_file;

/// A result that is in the store.
Result result_of(World& world, const std::string& name) {
  return world.base([&](int tree) { write_file(tree, "f", name); }, cat("identity of ", name));
}

Publication made_by(const std::string& command, const Result& result, const std::string& key) {
  return {sha256(cat("definition of ", key)), sha256(key), {result, 1, 2}, "stage/RUN x", {}, {{"command", command}}};
}

}  // namespace

TEST_CASE("the store of records is a result store") {
  World world;
  CacheResultStore results(world.store, "project");
  conformance::check_result_store(results, [&](const std::string& name) { return result_of(world, name); });
  conformance::check_claims(results);
}

TEST_CASE("records are kept with the parts of their key, and a miss is explained by them") {
  World world;
  CacheResultStore results(world.store, "project");
  const Result base = world.base([](int tree) { write_file(tree, "f", "x"); });
  Publication made{sha256("definition"), sha256("content"), {base, 11, 22}, "stage/RUN make", {},
                   {{"command", "make"}}};
  CHECK(results.explain_miss(made).kind == Reason::Kind::never_built);
  results.publish(made);
  for (const char* key : {"definition", "content"}) {
    const auto found = results.find(sha256(key));
    REQUIRE(found);
    CHECK(found->result == base);
    CHECK(found->created_ns == 11);
    CHECK(found->duration_ns == 22);
  }
  CHECK_FALSE(results.find(sha256("another")));
  CHECK(results.explain_miss(made).kind == Reason::Kind::missing_content);
  Publication changed = made;
  changed.definition_key = sha256("changed definition");
  changed.content_key = sha256("changed content");
  changed.parts = {{"command", "make all"}};
  const Reason reason = results.explain_miss(changed);
  CHECK(reason.kind == Reason::Kind::changed);
  CHECK(reason.differences.size() == 1);
}

TEST_CASE("a step is not compared with what the same build made, for another platform") {
  World world;
  CacheResultStore results(world.store, "project");
  const Result base = world.base([](int tree) { write_file(tree, "f", "x"); });
  Publication made{sha256("definition"), sha256("content"), {base, sys::now_ns(), 22}, "stage/COPY a /", {},
                   {{"a", "content 1"}}};
  results.publish(made);
  Publication second = made;
  second.definition_key = sha256("second definition");
  second.content_key = sha256("second content");
  second.parts = {{"a", "content 2"}};
  CHECK(results.explain_miss(second).kind == Reason::Kind::never_built);
  CHECK(CacheResultStore(world.store, "project").explain_miss(second).kind == Reason::Kind::changed);
}

TEST_CASE("a claim holds between stores, which stand for processes") {
  World world;
  cache::Store other(world.temp.options());
  CacheResultStore here(world.store), there(other);
  const auto claim = here.try_claim(sha256("k"));
  REQUIRE(claim);
  CHECK_FALSE(there.try_claim(sha256("k")));
}

TEST_CASE("a record whose chain is gone is a miss, and the miss says so") {
  World world;
  CacheResultStore results(world.store, "project");
  const Result made = result_of(world, "made");
  Publication publication = made_by("make", made, "key");
  results.publish(publication);
  REQUIRE(results.find(sha256("key")));
  sys::remove_all_at(AT_FDCWD, world.store.tree_path(world.store.chain(made.id)->layer));
  CHECK_THROWS(world.store.open_tree(world.store.chain(made.id)->layer));  // forgets all that depends on it
  CHECK_FALSE(results.find(sha256("key")));
}

TEST_CASE("a miss is told from the own project's step before others'") {
  World world;
  CacheResultStore own(world.store, "own"), other(world.store, "other");
  const Result made = result_of(world, "made");
  own.publish(made_by("make own", made, "own key"));
  other.publish(made_by("make other", made, "other key"));
  const Reason reason = own.explain_miss(made_by("make new", made, "new key"));
  REQUIRE(reason.kind == Reason::Kind::changed);
  REQUIRE(reason.differences.size() == 1);
  CHECK(reason.differences[0].before == "make own");
  CHECK(reason.text.find("make own") != std::string::npos);
}

}  // namespace cbuild::solver::ops
