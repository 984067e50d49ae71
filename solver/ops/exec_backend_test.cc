// SPDX-License-Identifier: Apache-2.0
// The rules of every ExecBackend, tried on each of them.
#include "solver/ops/exec_backend.h"

#include <doctest/doctest.h>

#include <atomic>

#include "solver/ops/fake_exec_backend.h"
#include "solver/ops/ops_fixture.h"
#include "solver/ops/step_context.h"

namespace cbuild::solver::ops {
namespace {

using namespace testing;
using cache::testing::write_file;

struct Way {
  const char* name;
  /// Makes `world` run `commands`, one after the other.
  void (*expect)(World& world, std::deque<ScriptedCommand> commands);
};

void expect_of_fake(World& world, std::deque<ScriptedCommand> commands) {
  world.services.commands.emplace(
      [commands](StepContext& context) {
        auto backend = std::make_unique<FakeExecBackend>(context.services.store);
        backend->commands = commands;
        return backend;
      },
      world.logs);
}

void expect_of_local(World& world, std::deque<ScriptedCommand> commands) {
  for (const ScriptedCommand& command : commands) {
    world.runner.until_stopped = command.until_stopped;
    world.runner.steps.emplace_back([command](const sandbox::Spec& spec, const sandbox::RunCallbacks& callbacks) {
      for (const std::string& text : command.output) callbacks.output(LogStream::out, text);
      for (const auto& [path, content] : command.files) write_file(spec.upper_fd, path, content);
      sandbox::Exit exit;
      exit.code = command.code;
      return exit;
    });
  }
  world.services.commands.emplace(local_exec(world.local), world.logs);
}

constexpr Way kWays[] = {{"fake", expect_of_fake}, {"local", expect_of_local}};

/// The end of one attempt.
struct Attempt {
  std::string output;
  std::promise<ExecEnd> promise;
  std::atomic<unsigned> ends = 0;

  ExecCallbacks callbacks() {
    return {.output = [this](LogStream, std::string_view data) { output += data; },
            .done =
                [this](ExecEnd end) {
                  if (ends++ == 0) promise.set_value(std::move(end));
                }};
  }
  ExecEnd end() {
    const test::Awaiting awaiting("the end of a command");
    return promise.get_future().get();
  }
};

/// A backend on its own, without the executor.
struct Backend {
  explicit Backend(World& world) : context(world.graph, world.services) {
    backend = world.services.commands->backend(context);
  }
  std::unique_ptr<ExecBackend> backend;  ///< before the context, whose threads use it
  StepContext context;
};

ExecuteRequest request_of(const Vertex& vertex) { return {7, &vertex, {Result{}}, sha256("key")}; }

/// With the directories that an image without them would get.
Result complete_base(World& world) {
  return world.base([](int tree) {
    for (const char* name : {"dev", "proc", "sys"}) mkdirat(tree, name, 0755);
  });
}

}  // namespace

TEST_CASE("backends: an attempt gives its output, its exit and its changes, and ends once") {
  for (const Way& way : kWays) {
    CAPTURE(way.name);
    World world;
    way.expect(world,
               {{.output = {"one\n", "two\n"}, .files = {{"out", "made"}}}, {.files = {{"left", "x"}}, .code = 3}});
    const Vertex vertex = command();
    Attempt first, second;
    {
      Backend made(world);
      made.backend->start(request_of(vertex), first.callbacks());
      const ExecEnd end = first.end();
      CHECK(first.output == "one\ntwo\n");
      CHECK(end.exit.code == 0);
      REQUIRE(end.changes);
      CHECK(sys::read_file_at(end.changes->tree_fd(), "out", 100) == "made");
      made.backend->start(request_of(vertex), second.callbacks());
      CHECK(second.end().exit.code == 3);
    }
    CHECK(first.ends == 1);
    CHECK(second.ends == 1);
  }
}

TEST_CASE("backends: a command that is stopped ends as cancelled") {
  for (const Way& way : kWays) {
    CAPTURE(way.name);
    World world;
    way.expect(world, {{.until_stopped = true}});
    const Vertex vertex = command();
    Attempt attempt;
    Backend made(world);
    const auto running = made.backend->start(request_of(vertex), attempt.callbacks());
    running->stop(std::chrono::milliseconds(1));
    running->stop(std::chrono::milliseconds(1));
    CHECK(attempt.end().exit.cancelled);
  }
}

TEST_CASE("backends: a command that cannot be started throws, and done() is not called") {
  for (const Way& way : kWays) {
    CAPTURE(way.name);
    World world;
    way.expect(world, {});
    const Vertex vertex = command();
    Attempt attempt;
    {
      Backend made(world);
      CHECK_THROWS_AS(made.backend->start(request_of(vertex), attempt.callbacks()), Error);
    }
    CHECK(attempt.ends == 0);
  }
}

TEST_CASE("backends: a step fails, is tried again and is cancelled in the same way") {
  for (const Way& way : kWays) {
    CAPTURE(way.name);
    World world;
    way.expect(world, {{.files = {{"left", "x"}}, .code = 3},
                       {.output = {"said\n"}, .files = {{"out", "made"}}},
                       {.code = 4},
                       {.code = 5}});
    Vertex vertex = command();
    vertex.settings.retries = 1;
    const Result result = world.done(vertex, {complete_base(world)});
    CHECK(world.read(result, "out") == "made");
    CHECK(world.read(result, "left") == "(none)");
    const StepFailure failure = world.failed(vertex, {Result{}});
    CHECK(failure.exit_code == 5);
    CHECK(failure.error.message().ends_with("exit code: 5, 2 tries"));
    CHECK(sys::read_file_at(AT_FDCWD, failure.log_path, 1000).find("said\n") != std::string::npos);
    world.executor().cancel();
    CHECK(world.failed(vertex, {Result{}}).error.code() == ErrorCode::cancelled);
  }
}

TEST_CASE("backends: a result is the same however its command was run") {
  std::vector<Digest> identities;
  for (const Way& way : kWays) {
    World world;
    way.expect(world, {{.files = {{"out", "made"}}}});
    identities.push_back(world.done(command(), {complete_base(world)}).identity);
  }
  CHECK(identities[0] == identities[1]);
}

TEST_CASE("a command without a backend fails as a step") {
  World world;
  StoreExecutor executor(world.graph, {.store = world.store, .progress = world.progress, .cancel = world.cancel});
  const Vertex vertex = command();
  std::promise<Outcome> promise;
  executor.execute(request_of(vertex), [&](Outcome outcome) { promise.set_value(std::move(outcome)); });
  CHECK(std::holds_alternative<StepFailure>(promise.get_future().get()));
  const Vertex file = vertex_of(HttpSource{.url = "http://127.0.0.1:1/f", .filename = "f", .content = sha256("f")}, {});
  std::promise<Outcome> fetched;
  executor.execute({8, &file, {}, sha256("k")}, [&](Outcome outcome) { fetched.set_value(std::move(outcome)); });
  CHECK(std::holds_alternative<StepFailure>(fetched.get_future().get()));
}

}  // namespace cbuild::solver::ops
