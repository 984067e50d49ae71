// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/cancel.h"
#include "cache/store.h"
#include "cache/unpacker.h"
#include "solver/graph/graph.h"

namespace cbuild::engine {

/// The images whose files commands of a build will read that cannot begin yet, because they wait for other steps too:
/// by image, the commands. A command without such inputs begins at once, and there is nothing to gain.
std::unordered_map<solver::VertexId, std::vector<solver::VertexId>> waiting_readers(
    const solver::Graph& graph, const std::vector<solver::VertexId>& targets);

/// Brings bases of steps to disk while earlier steps run. Only those of commands that were never run on this store, so
/// that they cannot come out cached. A failure is left to the step, which meets it again. Thread-safe.
class BasePrefetch {
 public:
  /// All are borrowed.
  BasePrefetch(cache::Store& store, cache::BlobFetcher fetch, const solver::Graph& graph,
               const std::vector<solver::VertexId>& targets);
  /// Ends what is under way.
  ~BasePrefetch();
  BasePrefetch(const BasePrefetch&) = delete;
  BasePrefetch& operator=(const BasePrefetch&) = delete;

  /// To be told of each image that is needed, once its chain is known.
  void on_image(solver::VertexId image, const Digest& chain);

 private:
  bool will_run(solver::VertexId reader);
  void work();

  cache::Store& store_;
  const cache::BlobFetcher fetch_;
  const solver::Graph& graph_;
  const std::vector<solver::VertexId> targets_;
  CancelSource stop_;
  std::mutex mutex_;  ///< guards the members below
  std::condition_variable changed_;
  std::optional<std::unordered_map<solver::VertexId, std::vector<solver::VertexId>>> readers_;
  std::deque<Digest> chains_;
  bool started_ = false, closed_ = false;
  std::optional<std::jthread> thread_;  ///< last: it uses all above
};

}  // namespace cbuild::engine
