// SPDX-License-Identifier: Apache-2.0
// The result store for tests of the scheduler, in memory. It also plays other processes: they can hold a claim, let it
// go, and publish a result meanwhile. It passes the conformance suite of ResultStore.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/test_wait.h"
#include "base/text.h"
#include "solver/executor.h"

namespace cbuild::solver::fakes {

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
    for (const Digest& key : refused_) results_[key] = CachedResult{*result, 7, 7};
  }
  void wait_refused(std::size_t times) {
    const test::Awaiting awaiting(cat(times, " refused claims"));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return refusals_ >= times; });
  }
  /// Waits until that many different claims were refused.
  void wait_refused_keys(std::size_t keys) {
    const test::Awaiting awaiting(cat(keys, " different refused claims"));
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
    results_.erase(key);
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

  std::optional<CachedResult> find(const Digest& key) override {
    const std::lock_guard lock(mutex_);
    ++finds_;
    if (find_error) throw *find_error;
    const auto found = results_.find(key);
    if (found == results_.end()) return std::nullopt;
    return found->second;
  }

  void publish(const Publication& publication) override {
    const std::lock_guard lock(mutex_);
    if (publish_error) throw *publish_error;
    publications_.push_back(publication);
    results_[publication.content_key] = publication.cached;
    if (!publication.definition_key.empty()) results_[publication.definition_key] = publication.cached;
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
    if (newest == newest_.end()) return {Reason::Kind::never_built, "no cached result", {}, 0};
    std::vector<Difference> found = differences(newest->second, wanted.parts);
    if (found.empty()) return {Reason::Kind::missing_content, "missing", {}, 0};
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
  std::map<Digest, CachedResult> results_;
  std::map<std::string, std::vector<KeyPart>> newest_;
  std::vector<Publication> publications_;
  std::set<Digest> claims_, refused_;
  std::optional<Error> claim_error_;
  bool elsewhere_ = false;
  std::size_t finds_ = 0, refusals_ = 0;
};

}  // namespace cbuild::solver::fakes
