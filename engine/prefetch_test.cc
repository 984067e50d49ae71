// SPDX-License-Identifier: Apache-2.0
// Which bases are brought early, and that nothing else is.
#include "engine/prefetch.h"

#include <doctest/doctest.h>

#include <atomic>

#include "base/test_wait.h"
#include "cache/packer.h"
#include "cache/test_support.h"
#include "solver/graph/step_identity.h"

namespace cbuild::engine {
namespace {

using namespace cache::testing;
using solver::VertexId;

/// "RUN long" in one stage; in another a copy from it on an image, and "RUN short" on top.
struct TwoStages {
  solver::Graph graph;
  VertexId first = add(image("first"), {}), slow = add(command("long"), {first}), second = add(image("second"), {}),
           context = add(directory(), {}), copy = add(solver::FileOp{}, {second, slow}),
           last = add(command("short"), {copy});

  VertexId add(solver::Op op, std::vector<VertexId> inputs) {
    solver::Vertex vertex;
    vertex.name = cat("step ", graph.size());
    vertex.op = std::move(op);
    vertex.inputs = std::move(inputs);
    return graph.add(std::move(vertex));
  }
  static solver::ImageSource image(const std::string& name) {
    solver::ImageSource op;
    op.manifest = op.chain_id = sha256(name);
    op.locator = "docker-image://far.test/" + name;
    return op;
  }
  static solver::LocalSource directory() {
    solver::LocalSource op;
    op.name = "context";
    op.path = "/context";
    return op;
  }
  static solver::ExecOp command(const std::string& argument) {
    solver::ExecOp op;
    op.argv = {argument};
    return op;
  }
};

/// A layer that is not here, and a fetcher that says when it was asked.
struct Base {
  TempStore here, far;
  cache::Store store{here.options()}, origin{far.options()};
  Digest chain;
  std::atomic<unsigned> fetched = 0;

  Base() {
    const cache::Chain made = add_file_layer(origin, {}, "f", "content");
    cache::Layer layer = cache::Packer(origin, {}).finish(made.id).back();
    layer.id = layer.diff_id;
    layer.has_tree = layer.has_blob = false;
    layer.fetch_from = "docker-image://far.test/image:1";
    store.add_lazy_layer(layer);
    chain = store.extend({}, layer.id, {}).id;
  }
  cache::BlobFetcher fetcher() {
    return [this](const cache::Layer& layer, oci::BlobStore& into) {
      oci::copy_blob(origin.blobs(), into, *layer.blob);
      ++fetched;
      fetched.notify_all();
    };
  }
};

}  // namespace

TEST_CASE("a base is wanted early by commands that wait for other steps") {
  TwoStages build;
  const auto readers = waiting_readers(build.graph, {build.last});
  CHECK(readers.size() == 1);
  REQUIRE(readers.contains(build.second));
  CHECK(readers.at(build.second) == std::vector<VertexId>{build.last});
  CHECK(waiting_readers(build.graph, {build.slow}).empty());
  const VertexId plain = build.add(solver::FileOp{}, {build.second, build.context});
  CHECK(waiting_readers(build.graph, {build.add(TwoStages::command("now"), {plain})}).empty());
  const VertexId mounting = build.add(TwoStages::command("mount"), {build.slow, build.second});
  CHECK(waiting_readers(build.graph, {mounting}).at(build.second) == std::vector<VertexId>{mounting});
}

TEST_CASE("the base of a command that was never run here is brought, no other image") {
  TwoStages build;
  Base base;
  BasePrefetch prefetch(base.store, base.fetcher(), build.graph, {build.last});
  prefetch.on_image(build.first, base.chain);
  CHECK(base.fetched == 0);
  prefetch.on_image(build.second, base.chain);
  const test::Awaiting awaiting("the base to be fetched");
  base.fetched.wait(0);
  CHECK(base.fetched == 1);
}

TEST_CASE("the base of a command with a record is left alone") {
  TwoStages build;
  Base base;
  base.store.publish(record_of(sha256("key"), base.chain, solver::step_identity(build.graph[build.last])));
  {
    BasePrefetch prefetch(base.store, base.fetcher(), build.graph, {build.last});
    prefetch.on_image(build.second, base.chain);
  }
  CHECK(base.fetched == 0);
}

TEST_CASE("a base that cannot be fetched is left to its step") {
  TwoStages build;
  Base base;
  std::atomic<bool> asked = false;
  BasePrefetch prefetch(base.store,
                        [&](const cache::Layer&, oci::BlobStore&) {
                          asked = true;
                          asked.notify_all();
                          throw Error(ErrorCode::network, "down");
                        },
                        build.graph, {build.last});
  prefetch.on_image(build.second, base.chain);
  const test::Awaiting awaiting("the base to be asked for");
  asked.wait(false);
}

}  // namespace cbuild::engine
