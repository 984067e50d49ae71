// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cache/store.h"
#include "solver/ops/exec_inputs.h"
#include "solver/ops/local_exec_state.h"

namespace cbuild::solver::ops {

/// The cache mounts of one step: taken together before it runs, then shown one by one.
class CacheMounts {
 public:
  CacheMounts(LocalExecState& state, const ExecuteRequest& request)
      : state_(state), context_(state.context), request_(request) {}

  /// Takes the caches of all of `mounts`, waiting for those that another step has locked. They are `inputs` from then
  /// on. In one order for all steps, so that no two wait for each other; a directory that several mounts show is taken
  /// once. A new one is filled from its `from`, or from a remote cache that has its content.
  void acquire(const std::vector<ExecMount>& mounts, ExecInputs& inputs);
  /// The part of an acquired cache that the mount shows, a directory or a file. Throws Error{not_found} if it is not
  /// there. The path to it was written by steps: links stay inside.
  int view(const CacheMount& cache, ExecInputs& inputs) const;

 private:
  Result content(const CacheMount& cache) const;
  Digest base(const CacheMount& cache) const;
  std::string name(const CacheMount& cache) const;
  void empty(const std::string& key, const CacheMount& cache);
  std::function<void(int)> filler(const CacheMount& cache) const;
  cache::Store::CacheMountDir take(const CacheMount& cache);
  bool fetch_content(const CacheMount& cache, const Digest& wanted, int directory);

  LocalExecState& state_;
  StepContext& context_;
  const ExecuteRequest& request_;
  std::map<std::string, int> directories_;  ///< by name()
};

}  // namespace cbuild::solver::ops
