// SPDX-License-Identifier: Apache-2.0
// Builds that fail, are cancelled, or lose a result on the way: which steps still run, and which failure is reported.
#include <doctest/doctest.h>

#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/test_wait.h"
#include "solver/fakes.h"
#include "solver/scheduler.h"

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

StepFailure exit_code(int code) { return {Error(ErrorCode::step_failed, cat("exit code: ", code)), code, "/log"}; }

/// base -> bad -> after; base -> slow -> later; end reads both.
struct Forked {
  Graph graph;
  VertexId base, bad, after, slow, later, end;
  FakeExecutor executor;
  FakeStore store;
  RecordedProgress progress;
  SolveOptions options;

  Forked() {
    base = graph.add(image("base"));
    bad = graph.add(run("bad", {base}));
    after = graph.add(run("after", {bad}));
    slow = graph.add(run("slow", {base}));
    later = graph.add(run("later", {slow}));
    end = graph.add(merge("end", {after, later}));
    options.progress = &progress;
  }
  SolveReport solve_all() { return solve(graph, {end}, executor, store, options); }
  std::vector<VertexState> states(const SolveReport& report) const {
    std::vector<VertexState> out;
    for (const VertexReport& vertex : report.vertices) out.push_back(vertex.state);
    return out;
  }
};

/// Running steps go on.
struct Stubborn : FakeExecutor {
  std::promise<void> asked;
  std::once_flag once;
  void cancel() override {
    std::call_once(once, [&] { asked.set_value(); });
  }
};

TEST_CASE("a step that is refused ends the build before anything runs, unless it is cached") {
  Forked f;
  f.options.refuse = [&](VertexId id) {
    return id == f.later ? std::optional(Error(ErrorCode::unsupported, "not here")) : std::nullopt;
  };
  const SolveReport refused = f.solve_all();
  REQUIRE(refused.failure);
  CHECK(refused.failure->vertex == f.later);
  CHECK(refused.failure->failure.error.message() == "not here");
  CHECK(f.executor.started().empty());
  const auto refuse = std::exchange(f.options.refuse, nullptr);
  CHECK(!f.solve_all().failure);
  f.options.refuse = refuse;
  CHECK(!f.solve_all().failure);
}

TEST_CASE("a missing input lets running steps come to their end, and the next solve goes on from there") {
  Forked f;
  f.executor.hold("bad");
  f.executor.hold("slow");
  f.executor.failures.emplace("bad", StepFailure{Error(ErrorCode::missing_content, "a layer is gone"), 0, {}});
  Solving solving([&] { return f.solve_all(); });
  f.executor.wait_started("slow");
  f.executor.finish("bad");
  f.executor.finish("slow");
  const SolveReport report = solving.get();
  REQUIRE(report.failure);
  CHECK(report.failure->failure.error.code() == ErrorCode::missing_content);
  CHECK_FALSE(f.executor.was_cancelled());
  CHECK_FALSE(report.cancelled);
  CHECK(report.vertices[f.bad].state == VertexState::cancelled);
  CHECK(report.vertices[f.slow].state == VertexState::ran);
  CHECK(report.vertices[f.end].state == VertexState::cancelled);

  FakeExecutor again;
  const SolveReport second = solve(f.graph, {f.end}, again, f.store, f.options);
  CHECK_FALSE(second.failure);
  CHECK(second.vertices[f.slow].state == VertexState::cached);
  CHECK(second.vertices[f.bad].state == VertexState::ran);
}

TEST_CASE("a failure together with a missing input is the one that is reported, and ends running steps") {
  Forked f;
  f.executor.hold_all();
  f.executor.failures.emplace("bad", StepFailure{Error(ErrorCode::missing_content, "a layer is gone"), 0, {}});
  f.executor.failures.emplace("slow", exit_code(3));
  Solving solving([&] { return f.solve_all(); });
  f.executor.finish("base");
  f.executor.wait_started("slow");
  f.executor.finish("bad");
  f.executor.finish("slow");
  const SolveReport report = solving.get();
  REQUIRE(report.failure);
  CHECK(report.failure->vertex == f.slow);
  CHECK(f.executor.was_cancelled());
}

TEST_CASE("the first failure ends running steps and cancels those that have not begun") {
  Forked f;
  f.executor.hold("bad");
  f.executor.hold("slow");
  f.executor.failures.emplace("bad", exit_code(3));
  Solving solving([&] { return f.solve_all(); });
  f.executor.wait_started("slow");
  f.executor.finish("bad");
  const SolveReport report = solving.get();
  REQUIRE(report.failure);
  CHECK(report.failure->vertex == f.bad);
  CHECK(report.failure->failure.exit_code == 3);
  CHECK(report.failure->failure.log_path == "/log");
  CHECK_FALSE(report.cancelled);
  CHECK(f.executor.was_cancelled());
  CHECK(f.states(report) == std::vector<VertexState>{VertexState::ran, VertexState::failed, VertexState::cancelled,
                                                     VertexState::cancelled, VertexState::cancelled,
                                                     VertexState::cancelled});
  CHECK(f.progress.lines("finished 1") == Lines{"finished 1 failed exit code: 3"});
  CHECK(f.progress.lines("finished 3") == Lines{"finished 3 cancelled "});
  CHECK(f.progress.lines("finished").size() == 3);
  CHECK(f.progress.lines("started").size() == 3);
  CHECK(f.store.publications().empty());
  CHECK(f.store.claims_held() == 0);
}

TEST_CASE("of several failures the one that comes first in the graph is reported") {
  Graph graph;
  const VertexId one = graph.add(run("one", {kNoInput})), two = graph.add(run("two", {kNoInput}));
  Stubborn executor;
  FakeStore store;
  executor.hold_all();
  executor.failures.emplace("one", exit_code(1));
  executor.failures.emplace("two", exit_code(2));
  Solving solving([&] { return solve(graph, {one, two}, executor, store, {}); });
  executor.wait_started(2);
  executor.finish("two");
  executor.finish("one");
  const SolveReport report = solving.get();
  REQUIRE(report.failure);
  CHECK(report.failure->vertex == one);
  CHECK(report.vertices[two].state == VertexState::failed);
}

TEST_CASE("a step that succeeds after the failure of another is kept") {
  Graph graph;
  const VertexId one = graph.add(run("one", {kNoInput})), two = graph.add(run("two", {kNoInput}));
  const VertexId after = graph.add(run("after", {one}));
  Stubborn executor;
  FakeStore store;
  executor.hold_all();
  executor.failures.emplace("two", exit_code(2));
  Solving solving([&] { return solve(graph, {after, two}, executor, store, {}); });
  executor.wait_started(2);
  executor.finish("two");
  {
    const test::Awaiting awaiting("cancel()");
    executor.asked.get_future().wait();
  }
  executor.finish("one");
  const SolveReport report = solving.get();
  CHECK(report.failure->vertex == two);
  CHECK(report.vertices[one].state == VertexState::ran);
  CHECK(report.vertices[after].state == VertexState::cancelled);
  REQUIRE(store.publications().size() == 1);
  CHECK(store.publications()[0].step == "\n4\none");
}

TEST_CASE("cancelled from outside") {
  Forked f;
  CancelSource cancel;
  f.options.cancel = &cancel;
  f.executor.hold("bad");
  f.executor.hold("slow");
  Solving solving([&] { return f.solve_all(); });
  f.executor.wait_started("bad");
  f.executor.wait_started("slow");
  cancel.cancel();
  const SolveReport report = solving.get();
  CHECK(report.cancelled);
  CHECK_FALSE(report.failure);
  CHECK(f.executor.was_cancelled());
  CHECK(report.vertices[f.bad].state == VertexState::cancelled);
  CHECK(f.progress.lines("finished 1") == Lines{"finished 1 cancelled "});
  CHECK(f.progress.lines("finished 5").empty());
  CHECK(report.vertices[f.end].state == VertexState::cancelled);
}

TEST_CASE("cancelled before it began") {
  Forked f;
  CancelSource cancel;
  cancel.cancel();
  f.options.cancel = &cancel;
  const SolveReport report = f.solve_all();
  CHECK(report.cancelled);
  CHECK_FALSE(report.failure);
  CHECK(f.executor.started().empty());
  CHECK(f.progress.lines("started").empty());
  for (const VertexReport& vertex : report.vertices) CHECK(vertex.state == VertexState::cancelled);
}

TEST_CASE("a step that saw the cancellation before the scheduler did is cancelled, not failed") {
  Forked f;
  CancelSource cancel;
  f.options.cancel = &cancel;
  f.executor.on_execute = [&](const ExecuteRequest& request) {
    if (request.id == f.bad) cancel.cancel();
  };
  f.executor.failures.emplace("bad", StepFailure{Error(ErrorCode::cancelled, "cancelled"), 143, ""});
  const SolveReport report = f.solve_all();
  CHECK(report.cancelled);
  CHECK_FALSE(report.failure);
  CHECK(report.vertices[f.bad].state == VertexState::cancelled);
}

TEST_CASE("a step that says cancelled though nobody asked has failed") {
  Forked f;
  f.executor.failures.emplace("bad", StepFailure{Error(ErrorCode::cancelled, "odd"), 0, ""});
  const SolveReport report = f.solve_all();
  REQUIRE(report.failure);
  CHECK(report.failure->vertex == f.bad);
  CHECK_FALSE(report.cancelled);
}

TEST_CASE("an executor that throws instead of completing") {
  Forked f;
  f.executor.thrown.emplace("bad", Error(ErrorCode::io, "thrown"));
  const SolveReport report = f.solve_all();
  REQUIRE(report.failure);
  CHECK(report.failure->vertex == f.bad);
  CHECK(report.failure->failure.error.message() == "thrown");
}

TEST_CASE("an executor that completes twice, and throws as well") {
  Graph graph;
  const VertexId step = graph.add(run("step", {kNoInput})), after = graph.add(run("after", {step}));
  struct Twice : FakeExecutor {
    Completion late;
    void execute(const ExecuteRequest& request, Completion done) override {
      late = done;
      FakeExecutor::execute(request, done);
      done(exit_code(1));
      throw std::runtime_error("after all");
    }
  } executor;
  FakeStore store;
  const SolveReport report = solve(graph, {after}, executor, store, {});
  CHECK_FALSE(report.failure);
  CHECK(report.vertices[after].state == VertexState::ran);
  executor.late(exit_code(1));
}

TEST_CASE("an image that cannot be opened") {
  Forked f;
  f.executor.failures.emplace("base", StepFailure{Error(ErrorCode::corrupt, "bad manifest"), 0, ""});
  const SolveReport report = f.solve_all();
  REQUIRE(report.failure);
  CHECK(report.failure->vertex == f.base);
  CHECK(f.executor.started() == Lines{"base"});
}

TEST_CASE("a missing file of the context fails its reader before anything runs") {
  Graph graph;
  const VertexId base = graph.add(run("base", {kNoInput})), context = graph.add(directory("/ctx"));
  const VertexId copied = graph.add(copy("copy", base, context, "missing"));
  FakeExecutor executor;
  FakeStore store;
  RecordedProgress progress;
  SolveOptions options;
  options.progress = &progress;
  const SolveReport report = solve(graph, {copied}, executor, store, options);
  REQUIRE(report.failure);
  CHECK(report.failure->vertex == copied);
  CHECK(report.failure->failure.error.code() == ErrorCode::not_found);
  CHECK(report.vertices[copied].state == VertexState::failed);
  CHECK(report.vertices[base].state == VertexState::cancelled);
  CHECK(executor.started().empty());
  CHECK(progress.lines("finished") == Lines{"finished 2 failed the build context: \"/missing\": not found"});
}

TEST_CASE("a missing file of another step fails its reader") {
  Graph graph;
  const VertexId made = graph.add(run("make", {kNoInput}));
  const VertexId copied = graph.add(copy("copy", kNoInput, made, "missing"));
  FakeExecutor executor;
  executor.outputs["make"] = {{"there", "1"}};
  FakeStore store;
  const SolveReport report = solve(graph, {copied}, executor, store, {});
  REQUIRE(report.failure);
  CHECK(report.failure->vertex == copied);
  CHECK(report.vertices[made].state == VertexState::ran);
}

TEST_CASE("errors of the store are failures of the step") {
  Graph graph;
  const VertexId step = graph.add(run("step", {kNoInput})), after = graph.add(run("after", {step}));
  FakeExecutor executor;
  FakeStore store;
  VertexId blamed = step;
  std::size_t runs = 0;
  SUBCASE("find") {
    store.find_error = Error(ErrorCode::io, "broken");
    blamed = after;  // looked up from the target down
  }
  SUBCASE("publish") {
    store.publish_error = Error(ErrorCode::no_space, "broken");
    runs = 1;
  }
  SUBCASE("claim") { store.break_claims(Error(ErrorCode::io, "broken")); }
  SUBCASE("explain") { store.explain_error = Error(ErrorCode::io, "broken"); }
  const SolveReport report = solve(graph, {after}, executor, store, {});
  REQUIRE(report.failure);
  CHECK(report.failure->vertex == blamed);
  CHECK(report.failure->failure.error.message() == "broken");
  CHECK(executor.started().size() == runs);
  CHECK(report.vertices[step].state != VertexState::ran);
  CHECK(store.claims_held() == 0);
}

TEST_CASE("a hit by content counts even if it cannot be linked to the definition") {
  Graph first, second;
  for (Graph* graph : {&first, &second}) {
    const VertexId made = graph->add(run("make", {kNoInput}, graph == &first ? "1" : "2"));
    graph->add(copy("copy", kNoInput, made, "f"));
  }
  FakeStore store;
  FakeExecutor executor;
  executor.outputs["make"] = {{"f", "same"}};
  solve(first, {1}, executor, store, {});
  RecordedProgress progress;
  SolveOptions options;
  options.progress = &progress;
  options.on_result = [&](VertexId id, const Result&, bool) {
    if (id == 0) store.publish_error = Error(ErrorCode::no_space, "disk full");
  };
  const SolveReport report = solve(second, {1}, executor, store, options);
  CHECK_FALSE(report.failure);
  CHECK(report.vertices[1].state == VertexState::cached);
  CHECK(progress.lines("note") == Lines{"note cache key not recorded: disk full"});
}

TEST_CASE("an exception of on_result fails the step") {
  Graph graph;
  const VertexId step = graph.add(run("step", {kNoInput}));
  FakeExecutor executor;
  FakeStore store;
  SolveOptions options;
  options.on_result = [](VertexId, const Result&, bool) { throw std::runtime_error("no"); };
  for (int i = 0; i < 2; ++i) {  // the second time the step is a hit
    const SolveReport report = solve(graph, {step}, executor, store, options);
    REQUIRE(report.failure);
    CHECK(report.failure->failure.error.code() == ErrorCode::internal);
    CHECK(report.failure->failure.error.message() == "no");
    CHECK(report.vertices[step].state == VertexState::failed);
  }
}

TEST_CASE("steps that begin while the executor is being cancelled are cancelled too") {
  for (int round = 0; round < 50; ++round) {
    Graph graph;
    std::vector<VertexId> steps;
    for (int i = 0; i < 20; ++i) steps.push_back(graph.add(run(cat("step", i), {kNoInput})));
    FakeExecutor executor;
    FakeStore store;
    for (int i = 1; i < 20; ++i) executor.hold(cat("step", i));
    executor.failures.emplace("step0", exit_code(1));
    SolveOptions options;
    options.max_running_steps = 20;
    const SolveReport report = solve(graph, steps, executor, store, options);
    REQUIRE(report.failure);
    CHECK(report.failure->vertex == steps[0]);
    for (int i = 1; i < 20; ++i)
      CHECK(report.vertices[steps[static_cast<std::size_t>(i)]].state == VertexState::cancelled);
  }
}

}  // namespace
}  // namespace cbuild::solver
