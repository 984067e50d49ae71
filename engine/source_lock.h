// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "engine/inputs.h"
#include "engine/services.h"
#include "frontend/stages/lower_options.h"
#include "frontend/stages/lower_remote.h"
#include "supply/lock_file.h"

namespace cbuild::engine {

/// "Dockerfile:3" for the first character of a span.
std::string place_of(const Span& where);

/// A lock file applied to a build: every source is what the file has, and one that the file does not have is refused.
class LockedSources final : public frontend::SourceLock {
 public:
  LockedSources(supply::LockFile lock, std::string file_name) : lock_(std::move(lock)), file_(std::move(file_name)) {}

  Digest lock_image(const std::string& name, const Span& where) override;
  Digest lock_url(const std::string& url, const Span& where) override;
  void lock_git(frontend::GitRef& ref, const Span& where) override;
  void explain(Error& error) const override;

  /// Warnings about images and repositories that were used and whose names give something else now. Only where the
  /// build asks anyway: images when a registry was asked for one, all of them with PullPolicy::always. A place that
  /// does not answer is passed over.
  std::vector<Diagnostic> moved(Services& services) const;

 private:
  struct Use {
    const supply::LockedSource* source = nullptr;
    frontend::GitRef git;
    Span where;
  };
  const supply::LockedSource& take(supply::LockKind kind, const std::string& name, const frontend::GitRef& git,
                                   const Span& where);

  const supply::LockFile lock_;
  const std::string file_;
  std::vector<Use> uses_;  ///< each source once
};

/// Null for a build without a lock file. Throws Error{usage} for one that was asked for and is not there, Error{input}.
std::unique_ptr<LockedSources> open_lock(const InputSettings& settings, const BuildInputs& inputs);

/// The commit that a repository's ref leads to now, after the source policy, and the ref's full name.
frontend::PinnedCommit present_commit(NetworkSources& sources, frontend::GitRef ref);

}  // namespace cbuild::engine
