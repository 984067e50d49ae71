// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "solver/executor.h"
#include "solver/graph.h"

/// Executor, ResultStore and ProgressSink for tests: no file, no process, and time stands still until the
/// test says otherwise.
namespace cbuild::solver::fakes {

using Tree = std::map<std::string, std::string>;  ///< path -> content

/// Gives every step a result at once, unless told to hold it or to fail. Steps go by their vertex name.
class FakeExecutor : public Executor {
 public:
  std::map<std::string, Tree> local;            ///< by LocalSource::path
  std::map<std::string, Tree> outputs;          ///< by step: its result has this content and an identity made of it
  std::map<std::string, StepFailure> failures;  ///< by step
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
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return std::find(started_.begin(), started_.end(), step) != started_.end(); });
  }
  void wait_started(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return started_.size() >= count; });
  }
  std::vector<std::string> started() const {
    const std::lock_guard lock(mutex_);
    return started_;
  }
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
    if (const auto* image = std::get_if<ImageSource>(&request.vertex->op)) return Result{request.key, image->chain_id};
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

/// A store in memory that also plays the other processes on it.
class FakeStore : public ResultStore {
 public:
  std::optional<Error> find_error, publish_error, explain_error;

  /// Another process holds all claims from now on.
  void hold_claims_elsewhere() {
    const std::lock_guard lock(mutex_);
    elsewhere_ = true;
  }
  /// It lets go; if `result` is given it has published that under every key we asked for.
  void release_claims_elsewhere(const std::optional<Result>& result = std::nullopt) {
    const std::lock_guard lock(mutex_);
    elsewhere_ = false;
    if (!result) return;
    for (const Digest& key : refused_) records_[key] = Record{*result, 7, 7};
  }
  void wait_refused(std::size_t times) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return refusals_ >= times; });
  }
  /// Waits until that many different claims were refused.
  void wait_refused_keys(std::size_t keys) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return refused_.size() >= keys; });
  }
  /// From now on trying a claim throws.
  void break_claims(const Error& error) {
    const std::lock_guard lock(mutex_);
    claim_error_ = error;
  }
  void forget(const Digest& key) {
    const std::lock_guard lock(mutex_);
    records_.erase(key);
  }
  std::vector<Publication> publications() const {
    const std::lock_guard lock(mutex_);
    return publications_;
  }
  std::size_t finds() const {
    const std::lock_guard lock(mutex_);
    return finds_;
  }
  std::size_t claims_held() const {
    const std::lock_guard lock(mutex_);
    return claims_.size();
  }

  std::optional<Record> find(const Digest& key) override {
    const std::lock_guard lock(mutex_);
    ++finds_;
    if (find_error) throw *find_error;
    const auto found = records_.find(key);
    if (found == records_.end()) return std::nullopt;
    return found->second;
  }

  void publish(const Publication& publication) override {
    const std::lock_guard lock(mutex_);
    if (publish_error) throw *publish_error;
    publications_.push_back(publication);
    records_[publication.content_key] = publication.record;
    if (!publication.definition_key.empty()) records_[publication.definition_key] = publication.record;
    newest_[publication.step] = publication.parts;
  }

  std::unique_ptr<Claim> try_claim(const Digest& key) override {
    const std::lock_guard lock(mutex_);
    if (claim_error_) throw *claim_error_;
    if (elsewhere_ || claims_.count(key)) {
      refused_.insert(key);
      ++refusals_;
      changed_.notify_all();
      return nullptr;
    }
    claims_.insert(key);
    return std::make_unique<HeldClaim>(*this, key);
  }

  std::unique_ptr<Claim> wait_claim(const Digest& key, const std::function<bool()>& cancelled) override {
    while (!cancelled()) {
      if (auto claim = try_claim(key)) return claim;
    }
    return nullptr;
  }

  Reason explain_miss(const Publication& wanted) override {
    const std::lock_guard lock(mutex_);
    if (explain_error) throw *explain_error;
    const auto newest = newest_.find(wanted.step);
    if (newest == newest_.end()) return {Reason::Kind::never_built, "never built", {}, 0};
    std::vector<Difference> found = differences(newest->second, wanted.parts);
    if (found.empty()) return {Reason::Kind::lost, "lost", {}, 0};
    return {Reason::Kind::changed, found[0].text, found, 0};
  }

 private:
  struct HeldClaim : Claim {
    HeldClaim(FakeStore& store, const Digest& key) : store_(store), key_(key) {}
    ~HeldClaim() override {
      const std::lock_guard lock(store_.mutex_);
      store_.claims_.erase(key_);
    }
    FakeStore& store_;
    const Digest key_;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Digest, Record> records_;
  std::map<std::string, std::vector<KeyPart>> newest_;
  std::vector<Publication> publications_;
  std::set<Digest> claims_, refused_;
  std::optional<Error> claim_error_;
  bool elsewhere_ = false;
  std::size_t finds_ = 0, refusals_ = 0;
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

inline Vertex image(const std::string& name) {
  Vertex vertex;
  ImageSource source;
  source.manifest = sha256("manifest " + name);
  source.chain_id = sha256("chain " + name);
  source.platform = "linux/amd64";
  source.locator = "docker-image://" + name;
  vertex.op = source;
  vertex.name = name;
  return vertex;
}

inline Vertex directory(const std::string& path) {
  Vertex vertex;
  LocalSource source;
  source.name = "context";
  source.path = path;
  vertex.op = source;
  vertex.name = path;
  return vertex;
}

/// Runs `command` (by default its name) on the first input.
inline Vertex run(const std::string& name, std::vector<VertexId> inputs, const std::string& command = "") {
  Vertex vertex;
  ExecOp exec;
  exec.argv = {"/bin/sh", "-c", command.empty() ? name : command};
  vertex.op = exec;
  vertex.inputs = std::move(inputs);
  vertex.name = name;
  return vertex;
}

/// Copies `path` of `from` onto `base`.
inline Vertex copy(const std::string& name, VertexId base, VertexId from, const std::string& path) {
  Vertex vertex;
  CopyAction action;
  action.sources = {path};
  action.destination = "/";
  vertex.op = FileOp{{action}};
  vertex.inputs = {base, from};
  vertex.name = name;
  return vertex;
}

/// Stacks the inputs; takes no slot.
inline Vertex merge(const std::string& name, std::vector<VertexId> inputs) {
  Vertex vertex;
  vertex.op = MergeOp{};
  vertex.inputs = std::move(inputs);
  vertex.name = name;
  return vertex;
}

}  // namespace cbuild::solver::fakes
