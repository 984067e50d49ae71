// SPDX-License-Identifier: Apache-2.0
#include "solver/vertex_queue.h"

#include <doctest/doctest.h>

#include "solver/fakes.h"

namespace cbuild::solver {
namespace {

using fakes::image;
using fakes::merge;
using fakes::run;
using Ids = std::vector<VertexId>;

/// image -> left, right -> both, and all of it work.
struct Queued {
  Graph graph;
  VertexId base = graph.add(image("base"));
  VertexId left = graph.add(run("left", {base}));
  VertexId right = graph.add(run("right", {base}));
  VertexId both = graph.add(merge("both", {left, right}));
  Plan plan{{base, left, right, both}, std::vector<Need>(4, Need::work), {}, {}, {}, false};
  VertexQueue queue{graph, plan};

  /// All that can be taken now.
  Ids take_all() {
    Ids ids;
    while (const auto id = queue.take()) ids.push_back(*id);
    return ids;
  }
};

TEST_CASE("vertices follow their inputs, and what holds a slot keeps others waiting") {
  Queued q;
  CHECK(q.queue.ready_from_start() == Ids{q.base});
  q.queue.add(q.base, false);
  CHECK(q.take_all() == Ids{q.base});  // needs no slot
  q.queue.finish(q.base, true);
  CHECK(q.queue.takeable() == 0);
  CHECK(q.take_all().empty());

  q.queue.set_slots(1);
  CHECK(q.queue.takeable() == 1);
  CHECK(q.take_all() == Ids{q.left});
  q.queue.set_executing(q.left);
  CHECK_FALSE(q.queue.is_at_rest());
  CHECK(q.queue.end_executing(q.left));
  CHECK_FALSE(q.queue.end_executing(q.left));
  q.queue.add(q.left, true);
  CHECK(q.take_all() == Ids{q.left});
  q.queue.finish(q.left, true);
  CHECK(q.take_all() == Ids{q.right});
  q.queue.finish(q.right, true);
  CHECK(q.take_all() == Ids{q.both});
  CHECK_FALSE(q.queue.is_all_over());
  q.queue.finish(q.both, true);
  CHECK(q.queue.is_all_over());
  CHECK(q.queue.is_at_rest());
}

TEST_CASE("a released slot is free for another vertex") {
  Queued q;
  q.queue.set_slots(1);
  q.queue.finish(q.base, true);
  CHECK(q.take_all() == Ids{q.left});
  q.queue.release(q.left);
  q.queue.set_awaiting_claim(q.left);
  CHECK(q.queue.is_awaiting_claim(q.left));
  CHECK(q.take_all() == Ids{q.right});
  q.queue.add(q.left, false);
  CHECK(q.take_all().empty());
  q.queue.finish(q.right, true);
  CHECK(q.take_all() == Ids{q.left});
}

TEST_CASE("after a stop only kept vertices go on, and no reader is added") {
  Queued q;
  q.queue.set_slots(2);
  q.queue.finish(q.base, true);
  q.queue.add(q.both, true);
  q.queue.clear_but([&](VertexId id) { return id == q.both; });
  CHECK(q.take_all() == Ids{q.both});
  q.queue.finish(q.left, false);
  q.queue.finish(q.right, false);
  CHECK(q.queue.takeable() == 0);
  CHECK(q.queue.is_over(q.right));
}

TEST_CASE("inputs without work are not waited for") {
  Queued q;
  q.plan.needs[q.base] = q.plan.needs[q.left] = Need::hit;
  const VertexQueue queue(q.graph, q.plan);
  CHECK(queue.ready_from_start() == Ids{q.right});
}

}  // namespace
}  // namespace cbuild::solver
