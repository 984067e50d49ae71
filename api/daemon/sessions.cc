// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/sessions.h"

#include <chrono>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr auto kSessionPatience = std::chrono::seconds(10);
constexpr auto kSessionTick = std::chrono::milliseconds(100);

}  // namespace

void Sessions::add(std::shared_ptr<ClientSession> session) {
  const std::lock_guard lock(mutex_);
  const std::string id = session->header().id;
  if (!open_.emplace(id, std::move(session)).second)
    throw Error(ErrorCode::usage, cat("session ", id, " is open already"));
  changed_.notify_all();
}

void Sessions::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  open_.erase(id);
}

std::shared_ptr<ClientSession> Sessions::wait(const std::string& id, const std::function<bool()>& gone) {
  const auto end = std::chrono::steady_clock::now() + kSessionPatience;
  std::unique_lock lock(mutex_);
  while (true) {
    if (const auto found = open_.find(id); found != open_.end()) return found->second;
    if (gone()) throw Error(ErrorCode::cancelled, "the client is gone");
    if (std::chrono::steady_clock::now() > end) throw Error(ErrorCode::not_found, cat("no active session for ", id));
    changed_.wait_for(lock, kSessionTick);
  }
}

bool Sessions::empty() {
  const std::lock_guard lock(mutex_);
  return open_.empty();
}

}  // namespace cbuild::api
