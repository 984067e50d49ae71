// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/progress.h"
#include "cache/store.h"
#include "engine/request/request.h"
#include "engine/request/secrets.h"
#include "frontend/lower/lower.h"
#include "solver/ops/executor.h"

namespace cbuild::engine {

/// What sources by URL may use of the user's. The references outlive the sources.
struct SourceKeys {
  const std::vector<Secret>& secrets;
  const SecretFinder& other_secret;
  const std::vector<SshSource>& ssh;  ///< git uses the one called "default"
  const SecretFinder& other_agent;    ///< where `ssh` does not have it
};

/// Files and repositories by URL, for lowering (which pins them) and for the steps (which fetch them). Made once per
/// build; nothing is opened before a source is asked for. Thread-safe.
class NetworkSources final : public frontend::SourcePinner {
 public:
  /// The policy of `settings` is applied to every source.
  NetworkSources(cache::Store& store, const SourceKeys& keys, const SourceSettings& settings, ProgressSink& progress,
                 const CancelSource& cancel);
  ~NetworkSources() override;

  void redirect_url(std::string& url, Digest& expected) override;
  void redirect_git(frontend::GitRef& ref) override;
  frontend::PinnedFile pin_url(const std::string& url, const Digest& expected) override;
  frontend::PinnedCommit pin_git(const std::string& remote, const std::string& ref) override;

  std::optional<std::int64_t> source_time(const solver::Op& source) override;
  /// Fetches pinned content into the store's blobs.
  void fetch_url(const std::string& url, const Digest& content) { urls_.fetch(url, content); }

  /// The access that steps need.
  solver::ops::NetworkAccess access() { return {urls_, git_}; }

 private:
  NetworkSources(const solver::ops::SourceAccess& access, std::shared_ptr<const SourcePolicy> policy);

  const std::shared_ptr<const SourcePolicy> policy_;
  solver::ops::UrlSources urls_;
  solver::ops::GitSources git_;
};

}  // namespace cbuild::engine
