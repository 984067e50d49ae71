// SPDX-License-Identifier: Apache-2.0
#include "engine/step_events.h"

#include <variant>

namespace cbuild::engine {
namespace {

bool is_repeated(const ProgressEvent& event) {
  if (const auto* started = std::get_if<TaskStarted>(&event)) return started->note.empty();
  const auto* finished = std::get_if<TaskFinished>(&event);
  return finished != nullptr && finished->state == TaskState::cached;
}

}  // namespace

StepEvents::StepEvents(ProgressSink& next, const solver::Graph& graph, bool again)
    : next_(next), graph_(graph), again_(again) {}

void StepEvents::on_event(const ProgressEvent& event) {
  if (again_ && is_repeated(event)) return;
  const auto is_local = [this](TaskId id) {
    return id < graph_.size() &&
           std::holds_alternative<solver::LocalSource>(graph_[static_cast<solver::VertexId>(id)].op);
  };
  const bool hidden = std::visit(
      [&](const auto& e) {
        if constexpr (requires { e.id; })
          return is_local(e.id);
        else
          return false;
      },
      event);
  if (!hidden) next_.on_event(event);
}

}  // namespace cbuild::engine
