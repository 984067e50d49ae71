// SPDX-License-Identifier: Apache-2.0
#include "solver/vertex_queue.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace cbuild::solver {

namespace {

bool needs_slot(const Op& op) { return std::holds_alternative<ExecOp>(op) || std::holds_alternative<FileOp>(op); }

}  // namespace

VertexQueue::VertexQueue(const Graph& graph, const Plan& plan) : graph_(graph), plan_(plan), nodes_(graph.size()) {
  for (const VertexId id : plan.reached) {
    if (plan.needs[id] != Need::work) continue;
    ++unfinished_;
    for (const VertexId input : graph[id].inputs) {
      if (input == kNoInput || plan.needs[input] != Need::work) continue;
      std::vector<VertexId>& readers = nodes_[input].readers;
      if (!readers.empty() && readers.back() == id) continue;
      readers.push_back(id);
      ++nodes_[id].missing_inputs;
    }
  }
}

std::vector<VertexId> VertexQueue::ready_from_start() const {
  std::vector<VertexId> ready;
  for (const VertexId id : plan_.reached)
    if (plan_.needs[id] == Need::work && nodes_[id].missing_inputs == 0) ready.push_back(id);
  return ready;
}

void VertexQueue::add(VertexId id, bool without_slot) {
  Node& node = nodes_[id];
  node.state = State::queued;
  const bool waits_for_slot = needs_slot(graph_[id].op) && !node.has_slot && !without_slot;
  (waits_for_slot ? ready_for_slot_ : ready_).insert(id);
}

std::optional<VertexId> VertexQueue::take() {
  const bool from_ready = !ready_.empty();
  if (!from_ready && (ready_for_slot_.empty() || slots_in_use_ >= slots_)) return std::nullopt;
  std::set<VertexId>& queue = from_ready ? ready_ : ready_for_slot_;
  const VertexId id = *queue.begin();
  queue.erase(queue.begin());
  nodes_[id].state = State::working;
  if (!from_ready) {
    nodes_[id].has_slot = true;
    ++slots_in_use_;
  }
  return id;
}

std::size_t VertexQueue::takeable() const {
  return ready_.size() + std::min<std::size_t>(ready_for_slot_.size(), slots_ - slots_in_use_);
}

void VertexQueue::release(VertexId id) {
  if (std::exchange(nodes_[id].has_slot, false)) --slots_in_use_;
}

void VertexQueue::set_executing(VertexId id) {
  nodes_[id].state = State::executing;
  ++executing_;
}

bool VertexQueue::end_executing(VertexId id) {
  if (nodes_[id].state != State::executing) return false;
  nodes_[id].state = State::idle;
  --executing_;
  return true;
}

void VertexQueue::finish(VertexId id, bool go_on) {
  release(id);
  nodes_[id].state = State::over;
  --unfinished_;
  if (!go_on) return;
  for (const VertexId reader : nodes_[id].readers)
    if (--nodes_[reader].missing_inputs == 0) add(reader, false);
}

void VertexQueue::clear_but(const std::function<bool(VertexId)>& keep) {
  ready_for_slot_.clear();
  std::erase_if(ready_, [&](VertexId id) { return !keep(id); });
}

}  // namespace cbuild::solver
