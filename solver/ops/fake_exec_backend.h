// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cache/test_support.h"
#include "solver/ops/exec_backend.h"

namespace cbuild::solver::ops::testing {

/// The effect of a command when it is run.
struct ScriptedCommand {
  std::vector<std::string> output = {};
  std::map<std::string, std::string> files = {};  ///< path -> content, in its root
  int code = 0;
  bool until_stopped = false;  ///< it does not end by itself
};

inline sandbox::Exit cancelled_exit() {
  sandbox::Exit exit;
  exit.code = 143;
  exit.cancelled = true;
  return exit;
}

/// Carries out the functions it is given, in a thread a command, without any sandbox.
class FakeExecBackend final : public ExecBackend {
 public:
  explicit FakeExecBackend(cache::Store& store) : store_(store) {}
  ~FakeExecBackend() override {
    for (std::thread& thread : threads_) thread.join();
  }

  std::deque<ScriptedCommand> commands;

  std::shared_ptr<sandbox::RunningStep> start(const ExecuteRequest&, ExecCallbacks callbacks) override {
    const std::lock_guard lock(mutex_);
    if (commands.empty()) throw Error(ErrorCode::internal, "no command was expected");
    ScriptedCommand command = std::move(commands.front());
    commands.pop_front();
    auto handle = std::make_shared<Handle>();
    threads_.emplace_back([this, handle, command = std::move(command), callbacks = std::move(callbacks)] {
      run(command, callbacks, *handle);
    });
    return handle;
  }

 private:
  struct Handle final : sandbox::RunningStep {
    void stop(std::chrono::milliseconds) override {
      std::call_once(once, [this] { stopped.set_value(); });
    }
    std::once_flag once;
    std::promise<void> stopped;
  };

  void run(const ScriptedCommand& command, const ExecCallbacks& callbacks, Handle& handle) {
    ExecEnd end;
    end.exit.code = command.code;
    end.changes.emplace(store_.stage("fake"));
    for (const std::string& text : command.output) callbacks.output(LogStream::out, text);
    for (const auto& [path, content] : command.files) cache::testing::write_file(end.changes->tree_fd(), path, content);
    if (command.until_stopped) {
      handle.stopped.get_future().wait();
      end.exit = cancelled_exit();
    }
    callbacks.done(std::move(end));
  }

  cache::Store& store_;
  std::mutex mutex_;  // guards commands and threads_
  std::vector<std::thread> threads_;
};

}  // namespace cbuild::solver::ops::testing
