// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "solver/graph/graph.h"
#include "solver/plan.h"

namespace cbuild::solver {

/// Which vertices of a plan can go on now, lowest id first. Those that run a command or copy files hold a slot from
/// their first take() to release() or finish(), and there are only so many; all others go on at once. Values only: it
/// does no work and waits for nothing. Its owner guards it.
class VertexQueue {
 public:
  VertexQueue(const Graph& graph, const Plan& plan);

  /// The vertices with work that miss no input from the start.
  std::vector<VertexId> ready_from_start() const;
  bool has_slots() const { return slots_ != 0; }
  /// How many vertices may hold a slot. Without one, only those that need none are taken.
  void set_slots(unsigned slots) { slots_ = slots; }

  /// `id` can go on. One that asks for claims or brings home finished work needs no slot, whatever its op.
  void add(VertexId id, bool without_slot);
  std::optional<VertexId> take();
  /// How many times take() would give a vertex now.
  std::size_t takeable() const;
  void release(VertexId id);

  /// A vertex that its owner works on without take().
  void set_working(VertexId id) { nodes_[id].state = State::working; }
  void set_idle(VertexId id) { nodes_[id].state = State::idle; }
  void set_awaiting_claim(VertexId id) { nodes_[id].state = State::awaiting_claim; }
  bool is_awaiting_claim(VertexId id) const { return nodes_[id].state == State::awaiting_claim; }
  void set_executing(VertexId id);
  /// False for a vertex that does not execute.
  bool end_executing(VertexId id);

  /// A vertex without work.
  void skip(VertexId id) { nodes_[id].state = State::over; }
  /// `id` has come to its end; with `go_on` those that missed nothing but it are added.
  void finish(VertexId id, bool go_on);
  bool is_over(VertexId id) const { return nodes_[id].state == State::over; }
  /// Only vertices for which `keep` is true go on; none that waits for a slot.
  void clear_but(const std::function<bool(VertexId)>& keep);

  /// Nothing executes or goes on without a slot.
  bool is_at_rest() const { return executing_ == 0 && ready_.empty(); }
  bool is_all_over() const { return unfinished_ == 0; }

 private:
  enum class State : std::uint8_t { idle, queued, working, executing, awaiting_claim, over };
  struct Node {
    State state = State::idle;
    bool has_slot = false;
    std::uint32_t missing_inputs = 0;
    std::vector<VertexId> readers;
  };

  const Graph& graph_;
  const Plan& plan_;
  std::vector<Node> nodes_;
  std::set<VertexId> ready_;           ///< may go on at once
  std::set<VertexId> ready_for_slot_;  ///< may go on when a slot is free
  std::size_t unfinished_ = 0, executing_ = 0;
  unsigned slots_in_use_ = 0, slots_ = 0;
};

}  // namespace cbuild::solver
