// SPDX-License-Identifier: Apache-2.0
#include "solver/plan.h"

#include <exception>
#include <utility>
#include <variant>

namespace cbuild::solver {

namespace {

bool is_cancelled(const CancelSource* cancel) { return cancel && cancel->cancelled(); }

class Planner {
 public:
  Planner(const Graph& graph, ResultStore& store, LocalSelections& locals, const CancelSource* cancel, Plan& plan)
      : graph_(graph), store_(store), locals_(locals), cancel_(cancel), plan_(plan) {}

  bool compute_keys() {
    for (const VertexId id : plan_.reached) {
      if (!guarded(id, [&] { compute_key(id); })) return false;
    }
    return true;
  }

  bool look_up(const std::vector<VertexId>& targets) {
    for (const VertexId id : plan_.reached) plan_.needs[id] = Need::unread;
    for (const VertexId target : targets) want(target);
    for (auto at = plan_.reached.rbegin(); at != plan_.reached.rend(); ++at) {
      const VertexId id = *at;
      if (!wanted_[id]) continue;
      if (!guarded(id, [&] { plan_.needs[id] = decide(id); })) return false;
      if (plan_.needs[id] != Need::work) continue;
      for (const VertexId input : graph_[id].inputs) want(input);
    }
    return true;
  }

 private:
  void compute_key(VertexId id) {
    plan_.definition_keys[id] = definition_key(graph_, id, plan_.definition_keys, locals_);
    bool ignored = graph_[id].ignore_cache;
    for (const VertexId input : graph_[id].inputs) ignored |= input != kNoInput && reaches_ignored_[input];
    reaches_ignored_[id] = ignored;
  }

  void want(VertexId id) {
    if (id != kNoInput) wanted_[id] = true;
  }

  /// An image's result is named by its pin, so there is nothing to find; opening it is cheap.
  Need decide(VertexId id) {
    const Op& op = graph_[id].op;
    if (std::holds_alternative<LocalSource>(op)) return Need::in_place;
    if (std::holds_alternative<ImageSource>(op) || reaches_ignored_[id]) return Need::work;
    std::optional<CachedResult> cached = store_.find(plan_.definition_keys[id]);
    if (!cached) return Need::work;
    plan_.hits.emplace(id, *cached);
    return Need::hit;
  }

  template <typename Work>
  bool guarded(VertexId id, const Work& work) {
    if (is_cancelled(cancel_)) {
      plan_.cancelled = true;
      return false;
    }
    try {
      work();
      return true;
    } catch (...) {
      StepFailure failure = current_failure();
      plan_.cancelled = failure.error.code() == ErrorCode::cancelled && is_cancelled(cancel_);
      if (!plan_.cancelled) plan_.failure = SolveFailure{id, std::move(failure)};
      return false;
    }
  }

  const Graph& graph_;
  ResultStore& store_;
  LocalSelections& locals_;
  const CancelSource* cancel_;
  Plan& plan_;
  std::vector<bool> reaches_ignored_ = std::vector<bool>(graph_.size());
  std::vector<bool> wanted_ = std::vector<bool>(graph_.size());
};

}  // namespace

Plan make_plan(const Graph& graph, std::vector<VertexId> reached, const std::vector<VertexId>& targets,
               ResultStore& store, LocalSelections& locals, const CancelSource* cancel) {
  Plan plan;
  plan.reached = std::move(reached);
  plan.needs.resize(graph.size(), Need::unreached);
  plan.definition_keys.resize(graph.size());
  Planner planner(graph, store, locals, cancel, plan);
  if (planner.compute_keys()) planner.look_up(targets);
  return plan;
}

StepFailure current_failure() {
  try {
    throw;
  } catch (const Error& error) {
    return {error, 0, {}};
  } catch (const std::exception& error) {
    return {Error(ErrorCode::internal, error.what()), 0, {}};
  } catch (...) {
    return {Error(ErrorCode::internal, "unknown exception"), 0, {}};
  }
}

}  // namespace cbuild::solver
