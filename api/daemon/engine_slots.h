// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "base/cancel.h"
#include "engine/session.h"

namespace cbuild::api {

/// Sessions of the engine for builds at the same time: each has a process that starts its commands, which is forked
/// before the program has threads.
class EngineSlots {
 public:
  /// `count` sessions on one store, at least one. Must run before any thread exists.
  EngineSlots(const std::string& root, unsigned count);
  /// These sessions, at least one, all on one store.
  explicit EngineSlots(std::vector<engine::Session> sessions);
  const std::string& root() const { return sessions_.front().root; }
  /// For what starts no command.
  const engine::Session& any() const { return sessions_.front(); }

 private:
  friend class EngineSlot;
  std::vector<engine::Session> sessions_;
  std::mutex mutex_;  // guards free_
  std::condition_variable changed_;
  std::vector<const engine::Session*> free_;
};

/// One of them, until the object dies; the constructor waits for it. Throws Error{cancelled}.
class EngineSlot {
 public:
  EngineSlot(EngineSlots& slots, const CancelSource& cancel);
  ~EngineSlot();
  EngineSlot(const EngineSlot&) = delete;
  EngineSlot& operator=(const EngineSlot&) = delete;
  const engine::Session& session() const { return *session_; }

 private:
  EngineSlots& slots_;
  const engine::Session* session_ = nullptr;
};

}  // namespace cbuild::api
