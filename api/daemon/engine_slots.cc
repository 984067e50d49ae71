// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/engine_slots.h"

#include <chrono>
#include <utility>

namespace cbuild::api {

namespace {

std::vector<engine::Session> start_sessions(const std::string& root, unsigned count) {
  std::vector<engine::Session> sessions;
  sessions.push_back(engine::start_session(root));
  while (sessions.size() < count) sessions.push_back(engine::another_session(sessions.front()));
  return sessions;
}

}  // namespace

EngineSlots::EngineSlots(const std::string& root, unsigned count) : EngineSlots(start_sessions(root, count)) {}

EngineSlots::EngineSlots(std::vector<engine::Session> sessions) : sessions_(std::move(sessions)) {
  for (const engine::Session& session : sessions_) free_.push_back(&session);
}

EngineSlot::EngineSlot(EngineSlots& slots, const CancelSource& cancel) : slots_(slots) {
  std::unique_lock lock(slots_.mutex_);
  while (slots_.free_.empty()) {
    cancel.check();
    slots_.changed_.wait_for(lock, std::chrono::milliseconds(100));
  }
  session_ = slots_.free_.back();
  slots_.free_.pop_back();
}

EngineSlot::~EngineSlot() {
  const std::lock_guard lock(slots_.mutex_);
  slots_.free_.push_back(session_);
  slots_.changed_.notify_one();
}

}  // namespace cbuild::api
