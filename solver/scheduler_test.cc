// SPDX-License-Identifier: Apache-2.0
// Order, limits and threads of the scheduler, with steps that the test starts and ends by name.
#include "solver/scheduler.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/test_wait.h"
#include "solver/fakes.h"

namespace cbuild::solver {
namespace {

using fakes::copy;
using fakes::directory;
using fakes::FakeExecutor;
using fakes::FakeStore;
using fakes::image;
using fakes::merge;
using fakes::RecordedProgress;
using fakes::run;
using fakes::Solving;

using Lines = std::vector<std::string>;

std::size_t thread_count() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
}

/// image -> left, right -> both
struct Diamond {
  Graph graph;
  VertexId base, left, right, both;

  Diamond() {
    base = graph.add(image("base"));
    left = graph.add(run("left", {base}));
    right = graph.add(run("right", {base}));
    both = graph.add(merge("both", {left, right}));
  }
};

TEST_CASE("a diamond: each vertex once, inputs first") {
  Diamond d;
  FakeExecutor executor;
  FakeStore store;
  RecordedProgress progress;
  SolveOptions options;
  options.progress = &progress;
  options.max_running_steps = 1;
  const SolveReport report = solve(d.graph, {d.both}, executor, store, options);
  CHECK_FALSE(report.failure);
  CHECK_FALSE(report.cancelled);
  CHECK(executor.started() == Lines{"base", "left", "right", "both"});
  for (const VertexReport& vertex : report.vertices) {
    CHECK(vertex.state == VertexState::ran);
    CHECK_FALSE(vertex.result.id.empty());
    CHECK(vertex.started_ns > 0);
    CHECK(vertex.finished_ns >= vertex.started_ns);
    CHECK(vertex.created_ns > 0);
  }
  CHECK(progress.lines() == Lines{"added 0 base", "added 1 left", "added 2 right", "added 3 both", "started 0 ",
                                  "finished 0 ok ", "started 1 no cached result", "finished 1 ok ",
                                  "started 2 no cached result", "finished 2 ok ", "started 3 no cached result",
                                  "finished 3 ok "});
  CHECK(store.publications().size() == 3);
  CHECK(store.claims_held() == 0);
}

TEST_CASE("a base that is known is shown as cached, and read like any other") {
  Graph graph;
  const VertexId base = graph.add(image("base")), step = graph.add(run("step", {base}));
  FakeExecutor executor;
  executor.known_sources = {"base"};
  FakeStore store;
  RecordedProgress progress;
  SolveOptions options;
  options.progress = &progress;
  const SolveReport report = solve(graph, {step}, executor, store, options);
  CHECK(report.vertices[base].state == VertexState::cached);
  CHECK_FALSE(report.vertices[base].result.id.empty());
  CHECK(report.vertices[step].state == VertexState::ran);
  CHECK(progress.lines() == Lines{"added 0 base", "added 1 step", "started 0 ", "finished 0 cached ",
                                  "started 1 no cached result", "finished 1 ok "});
}

TEST_CASE("only reached vertices, several targets, an empty root as target") {
  Diamond d;
  FakeExecutor executor;
  FakeStore store;
  const SolveReport report = solve(d.graph, {d.right, kNoInput, d.base}, executor, store, {});
  CHECK(report.vertices[d.right].state == VertexState::ran);
  CHECK(report.vertices[d.left].state == VertexState::not_needed);
  CHECK(report.vertices[d.both].state == VertexState::not_needed);
  CHECK(executor.started() == Lines{"base", "right"});
  CHECK_FALSE(solve(d.graph, {kNoInput}, executor, store, {}).failure);
}

TEST_CASE("requests carry the results of the inputs and the content key") {
  Graph graph;
  const VertexId base = graph.add(image("base")), context = graph.add(directory("/ctx"));
  const VertexId step = graph.add(copy("copy", base, context, "a"));
  const VertexId end = graph.add(merge("end", {kNoInput, step}));
  FakeExecutor executor;
  executor.local["/ctx"] = {{"a", "1"}};
  FakeStore store;
  std::mutex mutex;
  std::map<std::string, ExecuteRequest> requests;
  executor.on_execute = [&](const ExecuteRequest& request) {
    const std::lock_guard lock(mutex);
    requests.emplace(request.vertex->name, request);
  };
  const SolveReport report = solve(graph, {end}, executor, store, {});
  REQUIRE(requests.size() == 3);
  CHECK(requests["copy"].id == step);
  CHECK(requests["copy"].vertex == &graph[step]);
  CHECK(requests["copy"].inputs == std::vector<Result>{report.vertices[base].result, Result{}});
  CHECK(requests["end"].inputs == std::vector<Result>{Result{}, report.vertices[step].result});
  CHECK(requests["copy"].key == store.publications()[0].content_key);
  CHECK(report.vertices[base].result.identity == sha256("chain base"));
  CHECK(report.vertices[context].state == VertexState::cached);
  CHECK(report.vertices[context].result == Result{});
}

TEST_CASE("independent branches run at the same time") {
  Diamond d;
  FakeExecutor executor;
  FakeStore store;
  executor.hold("left");
  executor.hold("right");
  Solving solving([&] { return solve(d.graph, {d.both}, executor, store, {}); });
  executor.wait_started("left");
  executor.wait_started("right");
  executor.finish("right");
  executor.finish("left");
  CHECK_FALSE(solving.get().failure);
  CHECK(executor.most_running() == 2);
}

TEST_CASE("running steps are limited, lowest ids first; those without a slot are not") {
  constexpr int kSteps = 100;  // each is a chance to begin one too many before this thread looks
  const auto name = [](int i) { return cat("step", i); };
  Graph graph;
  const VertexId base = graph.add(image("base"));
  std::vector<VertexId> steps;
  for (int i = 0; i < kSteps; ++i) steps.push_back(graph.add(run(name(i), {base})));
  const VertexId free = graph.add(merge("free", {base}));
  steps.push_back(free);
  const VertexId end = graph.add(merge("end", steps));
  FakeExecutor executor;
  FakeStore store;
  for (int i = 0; i < kSteps; ++i) executor.hold(name(i));
  SolveOptions options;
  options.max_running_steps = 2;
  Solving solving([&] { return solve(graph, {end}, executor, store, options); });
  executor.wait_started("free");
  for (int i = 0; i < kSteps; ++i) {
    executor.wait_started(name(i));
    if (i > 0) executor.finish(name(i - 1));
  }
  executor.finish(name(kSteps - 1));
  CHECK_FALSE(solving.get().failure);
  CHECK(executor.most_running() == 2);
}

TEST_CASE("a thousand running steps hold no thousand threads") {
  Graph graph;
  const VertexId base = graph.add(image("base"));
  std::vector<VertexId> steps;
  for (int i = 0; i < 1000; ++i) steps.push_back(graph.add(run(cat("step", i), {base})));
  const VertexId end = graph.add(merge("end", steps));
  FakeExecutor executor;
  FakeStore store;
  for (int i = 0; i < 1000; ++i) executor.hold(cat("step", i));
  SolveOptions options;
  options.max_running_steps = 1000;
  const std::size_t before = thread_count();
  Solving solving([&] { return solve(graph, {end}, executor, store, options); });
  executor.wait_started(1001);
  CHECK(thread_count() < before + 2 * std::thread::hardware_concurrency() + 8);
  for (int i = 999; i >= 0; --i) executor.finish(cat("step", i));
  CHECK_FALSE(solving.get().failure);
  CHECK(executor.most_running() == 1000);
}

TEST_CASE("a chain of 10,000 steps") {
  constexpr int kLength = 10'000;
  Graph graph;
  VertexId last = graph.add(image("base"));
  for (int i = 0; i < kLength; ++i) last = graph.add(run(std::to_string(i), {last}));
  FakeExecutor executor;
  FakeStore store;
  CHECK(solve(graph, {last}, executor, store, {}).vertices[last].state == VertexState::ran);
  CHECK(executor.started().size() == kLength + 1);
  const SolveReport warm = solve(graph, {last}, executor, store, {});
  CHECK(warm.vertices[last].state == VertexState::cached);
  CHECK(warm.vertices[0].state == VertexState::cached);
  CHECK(executor.started().size() == kLength + 1);
}

TEST_CASE("equal vertices of two stages run once") {
  Graph graph;
  const VertexId base = graph.add(image("base"));
  const VertexId first = graph.add(run("first", {base}, "same")), second = graph.add(run("second", {base}, "same"));
  FakeExecutor executor;
  FakeStore store;
  solve(graph, {first, second}, executor, store, {});
  CHECK(executor.started() == Lines{"base", "first"});
}

TEST_CASE("steps with different definitions but the same content run once") {
  Graph graph;
  const VertexId one = graph.add(run("one", {kNoInput})), two = graph.add(run("two", {kNoInput}));
  const VertexId after_one = graph.add(copy("after one", kNoInput, one, "f"));
  const VertexId after_two = graph.add(copy("after two", kNoInput, two, "f"));
  FakeExecutor executor;
  FakeStore store;
  executor.outputs["one"] = executor.outputs["two"] = {{"f", "same"}};
  const SolveReport report = solve(graph, {after_one, after_two}, executor, store, {});
  CHECK(executor.started().size() == 3);
  CHECK(report.vertices[after_one].result == report.vertices[after_two].result);
}

TEST_CASE("on_result comes before the readers begin, once for each result") {
  Diamond d;
  FakeExecutor executor;
  FakeStore store;
  std::mutex mutex;
  std::set<std::string> known;
  executor.on_execute = [&](const ExecuteRequest& request) {
    const std::lock_guard lock(mutex);
    for (const VertexId input : request.vertex->inputs) CHECK(known.count(d.graph[input].name) == 1);
  };
  SolveOptions options;
  options.on_result = [&](VertexId id, const Result& result, bool cached) {
    const std::lock_guard lock(mutex);
    CHECK(known.insert(d.graph[id].name).second);
    CHECK_FALSE(result.id.empty());
    CHECK_FALSE(cached);
  };
  solve(d.graph, {d.both}, executor, store, options);
  CHECK(known.size() == 4);

  std::vector<std::pair<VertexId, bool>> warm;
  options.on_result = [&](VertexId id, const Result&, bool cached) { warm.emplace_back(id, cached); };
  solve(d.graph, {d.both}, executor, store, options);
  CHECK(warm == std::vector<std::pair<VertexId, bool>>{{d.both, true}});
}

TEST_CASE("the order of events does not depend on timing when one step runs at a time") {
  const auto events = [] {
    Graph graph;
    const VertexId base = graph.add(image("base"));
    std::vector<VertexId> ends;
    for (int stage = 0; stage < 8; ++stage) {
      VertexId last = base;
      for (int step = 0; step < 5; ++step) last = graph.add(run(cat("stage ", stage, " step ", step), {last}));
      ends.push_back(last);
    }
    FakeExecutor executor;
    FakeStore store;
    RecordedProgress progress;
    SolveOptions options;
    options.progress = &progress;
    options.max_running_steps = 1;
    solve(graph, ends, executor, store, options);
    return progress.lines();
  };
  const Lines first = events();
  CHECK(first.size() == 41 * 3);
  for (int i = 0; i < 10; ++i) CHECK(events() == first);
}

TEST_CASE("completions from another thread, after execute() has returned") {
  Graph graph;
  VertexId last = graph.add(image("base"));
  for (int i = 0; i < 50; ++i) last = graph.add(run(std::to_string(i), {last}));
  FakeExecutor executor;
  FakeStore store;
  executor.hold_all();
  Solving solving([&] { return solve(graph, {last}, executor, store, {}); });
  executor.finish("base");
  for (int i = 0; i < 50; ++i) executor.finish(std::to_string(i));
  CHECK(solving.get().vertices[last].state == VertexState::ran);
}

/// In a child of our own, because earlier cases have left TBB's threads in this process.
TEST_CASE("a build that is cached by definition, or only opens an image, starts no thread") {
  Diamond d;
  FakeExecutor executor;
  FakeStore store;
  solve(d.graph, {d.both}, executor, store, {});
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(20);
    const bool cached = solve(d.graph, {d.both}, executor, store, {}).vertices[d.both].state == VertexState::cached;
    const bool opened = solve(d.graph, {d.base}, executor, store, {}).vertices[d.base].state == VertexState::ran;
    _exit(cached && opened && thread_count() == 1 ? 0 : 1);
  }
  int status = -1;
  const test::Awaiting awaiting("a cached solve() in a child process");
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

}  // namespace
}  // namespace cbuild::solver
