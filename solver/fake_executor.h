// SPDX-License-Identifier: Apache-2.0
// The executor for tests of the scheduler: steps go by their vertex name and succeed at once, unless the test holds
// them, gives them content, or makes them fail. Results are made of keys, so nothing depends on time. It passes the
// conformance suite of Executor.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/test_wait.h"
#include "base/text.h"
#include "solver/executor.h"
#include "solver/graph/graph.h"

namespace cbuild::solver::fakes {

using Tree = std::map<std::string, std::string>;  ///< path -> content

/// Gives every step a result at once, unless told to hold it or to fail. Steps go by their vertex name.
class FakeExecutor : public Executor {
 public:
  std::map<std::string, Tree> local;            ///< by LocalSource::path
  std::map<std::string, Tree> outputs;          ///< by step: its result has this content and an identity made of it
  std::map<std::string, StepFailure> failures;  ///< by step
  std::set<std::string> known_sources;          ///< by step: images that were known before
  std::map<std::string, Error> thrown;          ///< by step: execute() throws
  std::function<void(const ExecuteRequest&)> on_execute;
  std::function<Result(const ExecuteRequest&, const Result&)> on_rebase;  ///< the result itself if not set

  /// From now on `step` does not end before finish().
  void hold(const std::string& step) {
    const std::lock_guard lock(mutex_);
    held_.insert(step);
  }
  void hold_all() {
    const std::lock_guard lock(mutex_);
    hold_all_ = true;
  }
  /// Waits until execute() was called for `step`, then ends it as it would have ended.
  void finish(const std::string& step) {
    wait_started(step);
    end(step, [&](const ExecuteRequest& request) { return outcome(request); });
  }
  void wait_started(const std::string& step) {
    const test::Awaiting awaiting(cat("the start of step ", step));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return std::find(started_.begin(), started_.end(), step) != started_.end(); });
  }
  void wait_started(std::size_t count) {
    const test::Awaiting awaiting(cat("the start of ", count, " steps"));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return started_.size() >= count; });
  }
  std::vector<std::string> started() const {
    const std::lock_guard lock(mutex_);
    return started_;
  }
  /// Commands only: other steps need no slot, and may come at any time.
  std::size_t most_running() const {
    const std::lock_guard lock(mutex_);
    return most_running_;
  }
  unsigned local_digests() const { return local_digests_; }
  unsigned result_digests() const {
    const std::lock_guard lock(mutex_);
    return result_digests_;
  }
  bool was_cancelled() const {
    const std::lock_guard lock(mutex_);
    return cancelled_;
  }

  Digest digest_local(const Vertex& source, const Selector& selector, std::vector<KeyPart>* parts) override {
    ++local_digests_;
    return digest_tree(local[std::get<LocalSource>(source.op).path], selector, parts);
  }

  Digest digest_result(const Result& result, const Selector& selector, std::vector<KeyPart>* parts) override {
    const std::lock_guard lock(mutex_);
    ++result_digests_;
    const auto tree = trees_.find(result.id);
    if (tree != trees_.end()) return digest_tree(tree->second, selector, parts);
    return sha256(result.identity.str() + canonical(selector));
  }

  Result rebase(const ExecuteRequest& request, const Result& found) override {
    const std::lock_guard lock(mutex_);
    if (on_rebase) return on_rebase(request, found);
    return found;
  }

  void execute(const ExecuteRequest& request, Completion done) override {
    const std::string& step = request.vertex->name;
    if (on_execute) on_execute(request);
    if (const auto error = thrown.find(step); error != thrown.end()) throw error->second;
    {
      const std::lock_guard lock(mutex_);
      started_.push_back(step);
      if (std::holds_alternative<ExecOp>(request.vertex->op))
        most_running_ = std::max(most_running_, running_.size() + 1);
      changed_.notify_all();
      if (hold_all_ || held_.count(step)) {
        running_.emplace(step, Running{request, std::move(done)});
        return;
      }
    }
    done(outcome(request));
  }

  void cancel() override {
    std::vector<std::string> steps;
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
      for (const auto& [step, running] : running_) steps.push_back(step);
    }
    for (const std::string& step : steps) {
      end(step, [](const ExecuteRequest&) { return StepFailure{Error(ErrorCode::cancelled, "cancelled"), 143, {}}; });
    }
  }

 private:
  struct Running {
    ExecuteRequest request;
    Completion done;
  };

  static Digest digest_tree(const Tree& tree, const Selector& selector, std::vector<KeyPart>* parts) {
    std::string all;
    for (const std::string& path : selector.paths) {
      bool found = path == ".";
      for (const auto& [name, content] : tree) {
        if (path != "." && name != path && !name.starts_with(path + "/")) continue;
        found = true;
        all += cat(content.size(), ':', content);
        if (parts) parts->push_back({name, sha256(content).str()});
      }
      if (!found) throw Error(ErrorCode::not_found, cat("\"/", path, "\": not found"));
    }
    return sha256(all);
  }

  Outcome outcome(const ExecuteRequest& request) {
    const std::string& step = request.vertex->name;
    if (const auto failure = failures.find(step); failure != failures.end()) return failure->second;
    if (const auto* image = std::get_if<ImageSource>(&request.vertex->op)) {
      const Result result{request.key, image->chain_id};
      return known_sources.contains(step) ? Outcome(KnownSource{result}) : Outcome(result);
    }
    const auto output = outputs.find(step);
    if (output == outputs.end()) return Result{request.key, sha256("of " + request.key.str())};
    const std::lock_guard lock(mutex_);
    trees_[request.key] = output->second;
    std::string all;
    for (const auto& [path, content] : output->second) all += cat(path, '=', content, ';');
    return Result{request.key, sha256(all)};
  }

  template <typename MakeOutcome>
  void end(const std::string& step, const MakeOutcome& make) {
    std::optional<Running> running;
    {
      const std::lock_guard lock(mutex_);
      const auto at = running_.find(step);
      if (at == running_.end()) return;
      running.emplace(std::move(at->second));
      running_.erase(at);
    }
    running->done(make(running->request));
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> held_;
  bool hold_all_ = false, cancelled_ = false;
  std::multimap<std::string, Running> running_;
  std::vector<std::string> started_;
  std::size_t most_running_ = 0;
  unsigned local_digests_ = 0, result_digests_ = 0;
  std::map<Digest, Tree> trees_;
};

}  // namespace cbuild::solver::fakes
