// SPDX-License-Identifier: Apache-2.0
// A step asks for its base when it is due. Where it waits for another stage, the base can be on its way meanwhile.
// Which steps will run is known only in part: an input that is built may come out as before, and a step on it is then
// found by content. One whose instruction the store has no record of is not found by any key, and such steps, which are
// all steps on a fresh machine, are prepared for. The order is that of the graph; one base after the other, as a link
// has to be shared with the steps that run.
#include "engine/prefetch.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/process/threads.h"
#include "cache/record_search.h"
#include "solver/graph/step_identity.h"

namespace cbuild::engine {
namespace {

using solver::kNoInput;
using solver::VertexId;

/// Whether a reader of it does not have to wait.
bool is_at_hand(const solver::Graph& graph, VertexId id) {
  return id == kNoInput || std::holds_alternative<solver::LocalSource>(graph[id].op);
}

/// The image at the bottom of a stack of copies; nothing if a command is in between.
struct Below {
  std::optional<VertexId> image;
  bool waits = false;  ///< one of the copies reads another step's result, or another image
};

Below below(const solver::Graph& graph, VertexId id) {
  Below out;
  while (id != kNoInput && std::holds_alternative<solver::FileOp>(graph[id].op)) {
    const std::vector<VertexId>& inputs = graph[id].inputs;
    for (std::size_t i = 1; i < inputs.size(); ++i) out.waits |= !is_at_hand(graph, inputs[i]);
    id = inputs.empty() ? kNoInput : inputs[0];
  }
  if (id != kNoInput && std::holds_alternative<solver::ImageSource>(graph[id].op)) out.image = id;
  return out;
}

}  // namespace

std::unordered_map<VertexId, std::vector<VertexId>> waiting_readers(const solver::Graph& graph,
                                                                    const std::vector<VertexId>& targets) {
  std::unordered_map<VertexId, std::vector<VertexId>> readers;
  for (const VertexId id : graph.reachable(targets)) {
    const solver::Vertex& vertex = graph[id];
    if (!std::holds_alternative<solver::ExecOp>(vertex.op) || vertex.inputs.empty()) continue;
    bool waits = false;
    std::vector<VertexId> images;
    for (const VertexId input : vertex.inputs) {
      const Below found = below(graph, input);
      waits |= found.waits || (!found.image && !is_at_hand(graph, input));
      if (found.image) images.push_back(*found.image);
    }
    if (waits)
      for (const VertexId image : images) readers[image].push_back(id);
  }
  return readers;
}

BasePrefetch::BasePrefetch(cache::Store& store, cache::BlobFetcher fetch, const solver::Graph& graph,
                           const std::vector<VertexId>& targets)
    : store_(store), fetch_(std::move(fetch)), graph_(graph), targets_(targets) {}

BasePrefetch::~BasePrefetch() {
  stop_.cancel();
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool BasePrefetch::will_run(VertexId reader) {
  return cache::newest_of_step(store_, solver::step_identity(graph_[reader]), 1).empty();
}

void BasePrefetch::on_image(VertexId image, const Digest& chain) {
  const std::scoped_lock lock(mutex_);
  if (!readers_) readers_ = waiting_readers(graph_, targets_);
  const auto readers = readers_->find(image);
  if (closed_ || chain.empty() || readers == readers_->end()) return;
  if (std::none_of(readers->second.begin(), readers->second.end(), [this](VertexId id) { return will_run(id); }))
    return;
  chains_.push_back(chain);
  changed_.notify_all();
  if (!std::exchange(started_, true)) thread_ = try_start_thread([this] { work(); });
}

void BasePrefetch::work() {
  std::unique_lock lock(mutex_);
  while (!closed_) {
    if (chains_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const Digest chain = std::exchange(chains_.front(), {});
    chains_.pop_front();
    lock.unlock();
    try {
      cache::materialize(store_, chain, fetch_, &stop_, nullptr);
    } catch (const std::exception&) {
      // The step that needs it meets the same.
    }
    lock.lock();
  }
}

}  // namespace cbuild::engine
