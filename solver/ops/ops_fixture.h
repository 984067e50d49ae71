// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/sys.h"
#include "base/test_wait.h"
#include "cache/test_support.h"
#include "cache/unpacker.h"
#include "sandbox/runner.h"
#include "solver/ops/executor.h"
#include "solver/ops/local_exec.h"

/// StoreExecutor on a store of its own, with a runner that is a function: no sandbox, no process, no privilege but that
/// of making layers.
namespace cbuild::solver::ops::testing {

/// Carries out a step by calling the next of `steps` with its spec, in a thread of its own, as the real one does.
class FakeRunner final : public sandbox::Runner {
 public:
  using Step = std::function<sandbox::Exit(const sandbox::Spec&, const sandbox::RunCallbacks&)>;
  std::deque<Step> steps;
  std::vector<sandbox::Spec> specs;  ///< of all that were run
  unsigned stops = 0;
  bool until_stopped = false;  ///< steps end when they are stopped, as cancelled

  ~FakeRunner() override {
    for (std::thread& thread : threads_) thread.join();
  }

  std::shared_ptr<sandbox::RunningStep> run(const sandbox::Spec& spec, sandbox::RunCallbacks callbacks) override {
    sandbox::Exit exit = next(spec)(spec, callbacks);
    const std::lock_guard lock(mutex_);
    auto handle = std::make_shared<Handle>(*this);
    if (!until_stopped) handle->stop_waiting();
    threads_.emplace_back([this, handle, exit, done = std::move(callbacks.done)]() mutable {
      handle->stopped.get_future().wait();
      exit.cancelled |= until_stopped;
      done(exit);
    });
    return handle;
  }

 private:
  struct Handle final : sandbox::RunningStep {
    explicit Handle(FakeRunner& of) : runner(of) {}
    void stop(std::chrono::milliseconds) override {
      ++runner.stops;
      stop_waiting();
    }
    void stop_waiting() {
      std::call_once(once, [this] { stopped.set_value(); });
    }
    FakeRunner& runner;
    std::once_flag once;
    std::promise<void> stopped;
  };
  Step next(const sandbox::Spec& spec) {
    const std::lock_guard lock(mutex_);
    specs.push_back(spec);
    if (steps.empty()) throw Error(ErrorCode::internal, "no step was expected");
    Step step = std::move(steps.front());
    steps.pop_front();
    return step;
  }

  std::mutex mutex_;  ///< held in run(): a step that has ended may begin the next one before run() has returned
  std::vector<std::thread> threads_;
};

inline FakeRunner::Step exits(int code) {
  return [code](const sandbox::Spec&, const sandbox::RunCallbacks&) {
    sandbox::Exit exit;
    exit.code = code;
    return exit;
  };
}

/// A command that makes one file.
inline FakeRunner::Step writes(const std::string& path, const std::string& content) {
  return [path, content](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
    cache::testing::write_file(spec.upper_fd, path, content);
    return sandbox::Exit{};
  };
}

struct World {
  cache::testing::TempStore temp;
  cache::Store store{temp.options()};
  cache::BuildLogs logs{store, "build"};
  TempDir context = TempDir::in_tmp("cbuild-ops-context-");
  Graph graph;
  FakeRunner runner;  ///< before the executor, whose threads may still end a step
  LocalExecSettings local{[this]() -> sandbox::Runner& { return runner; }};
  NullProgress progress;
  CancelSource cancel;
  BuildServices services{.store = store, .progress = progress, .cancel = cancel};
  std::unique_ptr<StoreExecutor> made;

  StoreExecutor& executor() {
    if (!services.commands) services.commands.emplace(local_exec(local), logs);
    if (!made) made = std::make_unique<StoreExecutor>(graph, services);
    return *made;
  }

  /// Carries out a vertex whose inputs gave `inputs`.
  Outcome execute(const Vertex& vertex, std::vector<Result> inputs, const std::string& key = "key") {
    std::promise<Outcome> promise;
    auto future = promise.get_future();
    executor().execute({7, &vertex, std::move(inputs), sha256(key)},
                       [&](Outcome outcome) { promise.set_value(std::move(outcome)); });
    const test::Awaiting awaiting(cat("the outcome of ", vertex.name));
    return future.get();
  }
  Result done(const Vertex& vertex, std::vector<Result> inputs, const std::string& key = "key") {
    Outcome outcome = execute(vertex, std::move(inputs), key);
    if (auto* failure = std::get_if<StepFailure>(&outcome)) throw failure->error;
    const auto* known = std::get_if<KnownSource>(&outcome);
    return known != nullptr ? known->result : std::get<Result>(outcome);
  }
  StepFailure failed(const Vertex& vertex, std::vector<Result> inputs) {
    return std::get<StepFailure>(execute(vertex, std::move(inputs)));
  }

  Result base(const std::function<void(int)>& fill, const std::string& identity = "base") {
    const cache::Chain chain = cache::testing::add_layer(store, {}, fill);
    const cache::Chain named = store.extend({}, chain.layer, sha256(identity));
    return {named.id, named.identity};
  }
  cache::TreeView view(const Result& result) {
    cache::materialize(store, result.id, nullptr, nullptr, nullptr);
    return cache::open_view(store, result.id);
  }
  std::string read(const Result& result, const std::string& path) {
    return view(result).read_file(path, 1000).value_or("(none)");
  }
  mode_t mode(const Result& result, const std::string& path) {
    const auto entry = view(result).lookup(path);
    return entry ? entry->st.st_mode & 07777 : 0;
  }
};

inline Vertex vertex_of(Op op, std::vector<VertexId> inputs) {
  Vertex vertex;
  vertex.op = std::move(op);
  vertex.inputs = std::move(inputs);
  vertex.name = "a step";
  return vertex;
}

inline Vertex command(const std::string& text = "make") {
  ExecOp op;
  op.argv = {"/bin/sh", "-c", text};
  return vertex_of(op, {0});
}

}  // namespace cbuild::solver::ops::testing
