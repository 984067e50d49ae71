// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/cancel.h"
#include "base/progress.h"
#include "cache/build_history.h"
#include "cache/packer.h"
#include "cache/store.h"
#include "cache/unpacker.h"
#include "sandbox/binfmt.h"
#include "sandbox/runner.h"
#include "solver/executor.h"
#include "solver/ops/git_source.h"
#include "solver/ops/step_log.h"
#include "solver/ops/url_source.h"

namespace cbuild::cache {
class RemoteCache;
}

namespace cbuild::solver::ops {

/// A secret or an agent socket the user offered, by id.
struct Secret {
  std::string id;
  std::function<std::string()> read;  ///< the value; called when a step needs it. Throws Error.
};
struct SshAgent {
  std::string id, socket_path;
};

/// What steps share in one build.
struct BuildServices {
  cache::Store& store;
  /// Makes the runner on first use, so that a cached build never probes the machine. Throws Error{unsupported}.
  std::function<sandbox::Runner&()> runner;
  cache::BlobFetcher fetch_blob;
  cache::RemoteCache* remote_cache = nullptr;  ///< where a fresh cache mount may have content; may be null
  ProgressSink* progress = nullptr;
  const CancelSource* cancel = nullptr;
  std::vector<Secret> secrets;
  std::vector<SshAgent> ssh_agents;
  cache::BuildLogs* logs = nullptr;  ///< where each step's log is kept as <vertex>.log; null: not kept
  LogLimits log_limits;
  std::vector<std::string> dns;    ///< overrides resolv.conf
  UrlSources* urls = nullptr;      ///< needed by graphs with HttpSource ops
  GitSources* git = nullptr;       ///< needed by graphs with GitSource ops
  std::vector<std::string> allow;  ///< entitlements; those for devices are checked here, the others before the build
  std::vector<std::string> cdi_directories;  ///< where descriptions of devices lie; empty: the usual places
  sandbox::Resources resources;              ///< limits of each step
  std::string binfmt_directory = sandbox::kBinfmtDirectory;
  const Graph* graph = nullptr;     ///< the graph being solved: how an op finds its sources
  cache::Packer* packer = nullptr;  ///< needed with `only_packed`
  /// Copies whose tree no step reads: they are packed from where the files lie, and no tree is made of them.
  std::unordered_set<VertexId> only_packed;
};

/// Carries out ops on a store: solver::Executor for real.
class StoreExecutor final : public Executor {
 public:
  explicit StoreExecutor(BuildServices services);
  ~StoreExecutor() override;

  Digest digest_local(const Vertex& source, const Selector& selector, std::vector<KeyPart>* parts) override;
  Digest digest_result(const Result& result, const Selector& selector, std::vector<KeyPart>* parts) override;
  Result rebase(const ExecuteRequest& request, const Result& found) override;
  void execute(const ExecuteRequest& request, Completion done) override;
  void cancel() override;
  /// Writes what local scans learnt back to the store.
  void save_scans() noexcept;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

/// solver::ResultStore on a cache::Store, and on remote caches behind it.
class CacheResultStore final : public ResultStore {
 public:
  /// `project` tells Dockerfiles apart for explanations; never part of a key. `remote` may be null: no remote caches.
  explicit CacheResultStore(cache::Store& store, std::string project = {}, cache::RemoteCache* remote = nullptr)
      : store_(store), project_(std::move(project)), remote_(remote) {}
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
  Relative compare(const cache::Record& record, const Publication& wanted) const;

  cache::Store& store_;
  const std::string project_;
  cache::RemoteCache* remote_;
};

}  // namespace cbuild::solver::ops
