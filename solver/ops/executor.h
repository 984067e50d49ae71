// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "solver/executor.h"
#include "solver/ops/build_services.h"

namespace cbuild::cache {
class RemoteCache;
}

namespace cbuild::solver::ops {

/// A command that failed, and its changes to its root.
struct FailedCommand {
  ExecuteRequest request;
  cache::Staging changes;
};

/// Carries out ops on a store: solver::Executor for real.
class StoreExecutor final : public Executor {
 public:
  /// `graph` is the one that is solved, by which an op finds its sources; it outlives the executor.
  StoreExecutor(const Graph& graph, BuildServices services);
  ~StoreExecutor() override;

  Digest digest_local(const Vertex& source, const Selector& selector, std::vector<KeyPart>* parts) override;
  Digest digest_result(const Result& result, const Selector& selector, std::vector<KeyPart>* parts) override;
  Result rebase(const ExecuteRequest& request, const Result& found) override;
  void execute(const ExecuteRequest& request, Completion done) override;
  void cancel() override;
  /// The failed command of a vertex, where CommandServices::keep_failed asks for it; null if there is none. It lives as
  /// long as this.
  const FailedCommand* failed(VertexId vertex);
  /// As ExecBackend::visit(), also after cancel().
  std::shared_ptr<sandbox::RunningStep> visit(const ExecuteRequest& request, const ExecVisit& visit,
                                              ExecCallbacks callbacks);
  /// Writes the digests of local scans back to the store.
  void save_scans() noexcept;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

/// solver::ResultStore on a cache::Store, and on remote caches behind it.
class CacheResultStore final : public ResultStore {
 public:
  /// `project` tells Dockerfiles apart for explanations; never part of a key. `remote` may be null: no remote caches.
  /// Made when the build begins to solve: results made from then on are not what a step is compared with.
  explicit CacheResultStore(cache::Store& store, std::string project = {}, cache::RemoteCache* remote = nullptr);
  std::optional<CachedResult> find(const Digest& key) override;
  void publish(const Publication& publication) override;
  std::unique_ptr<Claim> try_claim(const Digest& key) override;
  std::unique_ptr<Claim> wait_claim(const Digest& key, const std::function<bool()>& cancelled) override;
  Reason explain_miss(const Publication& wanted) override;

 private:
  struct Relative {
    bool same_project = false;
    std::vector<Difference> differences;
  };
  std::optional<Relative> nearest(const Publication& wanted);
  std::vector<cache::Record> of_other_builds(std::vector<cache::Record> records) const;
  Relative compare(const cache::Record& record, const Publication& wanted) const;

  cache::Store& store_;
  const std::string project_;
  cache::RemoteCache* remote_;
  const std::int64_t began_ns_;
};

}  // namespace cbuild::solver::ops
