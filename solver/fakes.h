// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "solver/fake_executor.h"
#include "solver/fake_store.h"
#include "solver/graph/graph.h"
#include "solver/graph/test_vertices.h"
#include "solver/scheduler.h"

/// Executor, ResultStore and ProgressSink for tests: no file, no process, and time stands still until the
/// test says otherwise.
namespace cbuild::solver::fakes {

/// A solve() on a thread of its own, so that the test can end its steps.
class Solving {
 public:
  explicit Solving(std::function<SolveReport()> solve) : report_(std::async(std::launch::async, std::move(solve))) {}
  ~Solving() { wait(); }
  Solving(const Solving&) = delete;
  Solving& operator=(const Solving&) = delete;
  /// Once only.
  SolveReport get() {
    wait();
    return report_.get();
  }

 private:
  void wait() {
    const test::Awaiting awaiting("the end of solve()");
    if (report_.valid()) report_.wait();
  }
  std::future<SolveReport> report_;
};

/// Keeps events as short lines: "added 0 name", "started 0 note", "finished 0 ok error".
class RecordedProgress : public ProgressSink {
 public:
  void on_event(const ProgressEvent& event) override {
    static constexpr const char* kStates[] = {"ok", "cached", "failed", "cancelled"};
    const std::lock_guard lock(mutex_);
    if (const auto* added = std::get_if<TaskAdded>(&event)) {
      lines_.push_back(cat("added ", added->id, " ", added->name));
    } else if (const auto* started = std::get_if<TaskStarted>(&event)) {
      lines_.push_back(cat("started ", started->id, " ", started->note));
    } else if (const auto* finished = std::get_if<TaskFinished>(&event)) {
      lines_.push_back(
          cat("finished ", finished->id, " ", kStates[static_cast<int>(finished->state)], " ", finished->error));
    } else if (const auto* note = std::get_if<RunNote>(&event)) {
      lines_.push_back(cat("note ", note->text));
    }
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  /// Those that begin with `prefix`.
  std::vector<std::string> lines(const std::string& prefix) const {
    std::vector<std::string> out;
    for (const std::string& line : lines()) {
      if (line.starts_with(prefix)) out.push_back(line);
    }
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace cbuild::solver::fakes
