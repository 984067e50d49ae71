// SPDX-License-Identifier: Apache-2.0
// Which steps run and which are found: each case builds a small pipeline twice or more on one fake store.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/text.h"
#include "solver/fakes.h"
#include "solver/scheduler.h"

namespace cbuild::solver {
namespace {

using fakes::copy;
using fakes::directory;
using fakes::FakeExecutor;
using fakes::FakeStore;
using fakes::image;
using fakes::RecordedProgress;
using fakes::run;
using fakes::Solving;

using Lines = std::vector<std::string>;

/// base -> "generate" (which may change) ; base -> copy of generated/x -> "test"
struct Pipeline {
  Graph graph;
  VertexId base, generate, copied, test;

  explicit Pipeline(const std::string& command, bool ignore_cache = false) {
    base = graph.add(image("base"));
    Vertex generating = run("generate", {base}, command);
    generating.ignore_cache = ignore_cache;
    generate = graph.add(generating);
    copied = graph.add(copy("copy", base, generate, "x"));
    test = graph.add(run("test", {copied}));
  }
};

struct Build {
  SolveReport report;
  Lines ran, events;
  std::vector<Publication> published;
  std::size_t finds;
};

struct World {
  FakeStore store;
  fakes::Tree generated{{"x", "same"}, {"unread", "1"}};
  std::map<std::string, fakes::Tree> local;

  Build build(const Graph& graph, VertexId target) {
    FakeExecutor executor;
    executor.outputs["generate"] = generated;
    executor.local = local;
    RecordedProgress progress;
    SolveOptions options;
    options.progress = &progress;
    options.max_running_steps = 1;
    const std::size_t published = store.publications().size(), finds = store.finds();
    Build build{solve(graph, {target}, executor, store, options), {}, {}, {}, 0};
    build.ran = executor.started();
    build.events = progress.lines();
    const std::vector<Publication> all = store.publications();
    build.published.assign(all.begin() + static_cast<std::ptrdiff_t>(published), all.end());
    build.finds = store.finds() - finds;
    return build;
  }
  Build build(const Pipeline& pipeline) { return build(pipeline.graph, pipeline.test); }
};

TEST_CASE("a hit by content is put on the results of this build's inputs, and found by definition from then on") {
  World world;
  world.build(Pipeline("make"));
  const Pipeline changed("make again");
  FakeExecutor executor;
  executor.outputs["generate"] = world.generated;
  std::map<std::string, std::vector<Result>> inputs;
  executor.on_rebase = [&](const ExecuteRequest& request, const Result& found) {
    inputs[request.vertex->name] = request.inputs;
    return Result{sha256("rebased " + found.id.str()), found.identity};
  };
  const std::size_t before = world.store.publications().size();
  const SolveReport report = solve(changed.graph, {changed.test}, executor, world.store, {});
  CHECK(executor.started() == Lines{"base", "generate"});
  // The copy reads content that came out the same; the test stands on the copy as it was put there.
  REQUIRE(inputs.size() == 2);
  CHECK(inputs["copy"][1] == report.vertices[changed.generate].result);
  CHECK(inputs["test"] == std::vector<Result>{report.vertices[changed.copied].result});
  CHECK(report.vertices[changed.copied].found_by == FoundBy::content);
  const std::vector<Publication> all = world.store.publications();
  REQUIRE(all.size() == before + 3);
  for (const VertexId id : {changed.copied, changed.test}) {
    const auto published =
        std::find_if(all.begin() + static_cast<std::ptrdiff_t>(before), all.end(),
                     [&](const Publication& one) { return one.cached.result == report.vertices[id].result; });
    REQUIRE(published != all.end());
    CHECK_FALSE(published->parts.empty());  // it is a record of its own
  }
  FakeExecutor idle;
  CHECK(solve(changed.graph, {changed.test}, idle, world.store, {}).vertices[changed.test].result ==
        report.vertices[changed.test].result);
  CHECK(idle.started().empty());
}

TEST_CASE("a second build looks up its target, nothing below, and shows all as cached") {
  World world;
  const Pipeline pipeline("make");
  world.build(pipeline);
  const Build second = world.build(pipeline);
  CHECK(second.ran.empty());
  CHECK(second.published.empty());
  CHECK(second.finds == 1);
  CHECK(second.events == Lines{"added 0 base", "added 1 generate", "added 2 copy", "added 3 test", "started 0 ",
                               "finished 0 cached ", "started 1 ", "finished 1 cached ", "started 2 ",
                               "finished 2 cached ", "started 3 ", "finished 3 cached "});
  for (const VertexReport& vertex : second.report.vertices) CHECK(vertex.state == VertexState::cached);
  CHECK_FALSE(second.report.vertices[pipeline.test].result.id.empty());
  CHECK(second.report.vertices[pipeline.test].created_ns > 0);
}

TEST_CASE("early cutoff: a step that comes out the same hits by content, and then by definition") {
  World world;
  world.build(Pipeline("make"));
  world.generated["unread"] = "2";
  const Pipeline changed("make -j");
  const Build second = world.build(changed);
  CHECK(second.ran == Lines{"base", "generate"});
  CHECK(second.report.vertices[changed.copied].state == VertexState::cached);
  CHECK(second.report.vertices[changed.test].state == VertexState::cached);
  CHECK(second.report.vertices[changed.generate].reason.text.starts_with("the instruction changed"));
  REQUIRE(second.published.size() == 3);
  CHECK(second.published[1].step == "\n5\ncopy");
  CHECK_FALSE(second.published[1].definition_key.empty());

  const Build third = world.build(changed);
  CHECK(third.ran.empty());
  CHECK(third.finds == 1);
}

TEST_CASE("a step whose input really changed runs") {
  World world;
  world.build(Pipeline("make"));
  world.generated["x"] = "other";
  CHECK(world.build(Pipeline("make -j")).ran == Lines{"base", "generate", "copy", "test"});
}

TEST_CASE("vertices on the way are looked up as far down as they miss") {
  World world;
  const Pipeline pipeline("make");
  const Build first = world.build(pipeline);
  CHECK(first.finds == 3 + 3 * 2);
  world.store.forget(first.published.back().definition_key);
  world.store.forget(first.published.back().content_key);
  const Build second = world.build(pipeline);
  CHECK(second.ran == Lines{"test"});
  CHECK(second.report.vertices[pipeline.test].reason.kind == Reason::Kind::missing_content);
  CHECK(second.report.vertices[pipeline.copied].state == VertexState::cached);
  CHECK(second.report.vertices[pipeline.copied].result == first.report.vertices[pipeline.copied].result);
  CHECK(second.report.vertices[pipeline.generate].state == VertexState::cached);
  CHECK(second.report.vertices[pipeline.generate].result == Result{});
}

TEST_CASE("local files: the key follows the selection, the note names the file") {
  World world;
  world.local["/ctx"] = {{"src/a", "1"}, {"src/b", "1"}, {"doc", "1"}};
  Graph graph;
  const VertexId context = graph.add(directory("/ctx"));
  const VertexId copied = graph.add(copy("copy", kNoInput, context, "src"));
  CHECK(world.build(graph, copied).ran == Lines{"copy"});
  world.local["/ctx"]["doc"] = "2";
  CHECK(world.build(graph, copied).ran.empty());
  world.local["/ctx"]["src/b"] = "2";
  const Build changed = world.build(graph, copied);
  CHECK(changed.ran == Lines{"copy"});
  CHECK(changed.events.back() == "finished 1 ok ");
  CHECK(changed.events[changed.events.size() - 2] == cat("started 1 src/b: content changed (",
                                                         sha256("1").str().substr(0, 19), " -> ",
                                                         sha256("2").str().substr(0, 19), ")"));
  CHECK(changed.report.vertices[context].state == VertexState::cached);
}

TEST_CASE("ignore_cache: never looked up, nor by definition anything above it; content above it still counts") {
  World world;
  world.build(Pipeline("make"));
  const Pipeline forced("make", true);
  const Build second = world.build(forced);
  CHECK(second.ran == Lines{"base", "generate"});
  CHECK(second.report.vertices[forced.generate].reason.kind == Reason::Kind::no_cache);
  CHECK(second.report.vertices[forced.copied].state == VertexState::cached);
  CHECK(second.report.vertices[forced.test].state == VertexState::cached);

  world.generated["x"] = "new";
  const Build third = world.build(forced);
  CHECK(third.ran == Lines{"base", "generate", "copy", "test"});
  // The forced run has refreshed the record that a normal build finds.
  const Pipeline normal("make");
  const Build fourth = world.build(normal);
  CHECK(fourth.ran.empty());
  CHECK(fourth.report.vertices[normal.test].result == third.report.vertices[forced.test].result);
}

TEST_CASE("a reason that the caller has told is in the report, not in the events; others are in both") {
  World world;
  world.build(Pipeline("make"));
  world.generated["x"] = "new";
  const Pipeline forced("make", true);
  FakeExecutor executor;
  executor.outputs["generate"] = world.generated;
  RecordedProgress progress;
  SolveOptions options;
  options.progress = &progress;
  options.told = Reason::Kind::no_cache;
  const SolveReport report = solve(forced.graph, {forced.test}, executor, world.store, options);
  const Reason& told = report.vertices[forced.generate].reason;
  const Reason& other = report.vertices[forced.copied].reason;
  CHECK(told.kind == Reason::Kind::no_cache);
  CHECK_FALSE(told.text.empty());
  CHECK(progress.lines("started 1") == Lines{"started 1 "});
  CHECK_FALSE(other.text.empty());
  CHECK(progress.lines("started 2") == Lines{cat("started 2 ", other.text)});
}

TEST_CASE("a record carries its first making through later hits") {
  World world;
  const Build first = world.build(Pipeline("make"));
  world.generated["unread"] = "2";
  const Pipeline changed("make -j");
  const Build second = world.build(changed);
  CHECK(second.report.vertices[changed.test].created_ns == first.report.vertices[changed.test].created_ns);
  CHECK(second.published.back().cached == first.published.back().cached);
}

/// One step, whose claim another process holds.
struct Contended {
  Graph graph;
  VertexId step;
  FakeExecutor executor;
  FakeStore store;
  RecordedProgress progress;
  CancelSource cancel;
  std::optional<Solving> solving;

  Contended() {
    step = graph.add(run("step", {kNoInput}));
    store.hold_claims_elsewhere();
    solving.emplace([this] {
      SolveOptions options;
      options.progress = &progress;
      options.cancel = &cancel;
      return solve(graph, {step}, executor, store, options);
    });
    store.wait_refused(3);
  }
};

TEST_CASE("a step that another process runs is waited for, and its result taken") {
  Contended c;
  const Result theirs{sha256("their id"), sha256("their identity")};
  c.store.release_claims_elsewhere(theirs);
  const SolveReport report = c.solving->get();
  CHECK(report.vertices[c.step].state == VertexState::cached);
  CHECK(report.vertices[c.step].result == theirs);
  CHECK(c.executor.started().empty());
  CHECK(c.progress.lines() ==
        Lines{"added 0 step", "started 0 waiting for another build that runs this step", "finished 0 cached "});
  CHECK(c.store.claims_held() == 0);
}

TEST_CASE("a step that another process gave up is run") {
  Contended c;
  c.store.release_claims_elsewhere();
  const SolveReport report = c.solving->get();
  CHECK(report.vertices[c.step].state == VertexState::ran);
  CHECK(report.vertices[c.step].reason.text == "no cached result");
  CHECK(c.executor.started() == Lines{"step"});
  CHECK(c.store.claims_held() == 0);
}

TEST_CASE("waiting for another process can be cancelled") {
  Contended c;
  c.cancel.cancel();
  const SolveReport report = c.solving->get();
  CHECK(report.cancelled);
  CHECK_FALSE(report.failure);
  CHECK(report.vertices[c.step].state == VertexState::cancelled);
  CHECK(c.progress.lines().back() == "finished 0 cancelled ");
}

TEST_CASE("a claim that can no longer be tried fails the step") {
  Contended c;
  c.store.break_claims(Error(ErrorCode::io, "locks are gone"));
  const SolveReport report = c.solving->get();
  REQUIRE(report.failure);
  CHECK(report.failure->vertex == c.step);
  CHECK(report.failure->failure.error.message() == "locks are gone");
  CHECK(c.progress.lines().back() == "finished 0 failed locks are gone");
}

TEST_CASE("a step that waits for another process takes no slot") {
  Graph graph;
  const VertexId first = graph.add(run("first", {kNoInput})), second = graph.add(run("second", {kNoInput}));
  FakeExecutor executor;
  FakeStore store;
  store.hold_claims_elsewhere();
  SolveOptions options;
  options.max_running_steps = 1;
  Solving solving([&] { return solve(graph, {first, second}, executor, store, options); });
  store.wait_refused_keys(2);  // the first did not keep the only slot
  store.release_claims_elsewhere();
  CHECK_FALSE(solving.get().failure);
  CHECK(executor.started().size() == 2);
  CHECK(executor.most_running() <= 1);
}

}  // namespace
}  // namespace cbuild::solver
