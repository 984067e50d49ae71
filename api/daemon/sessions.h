// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api/session/client_session.h"

namespace cbuild::api {

/// The open sessions by id. Thread-safe.
class Sessions {
 public:
  /// Throws Error{usage} where there is one of that id.
  void add(std::shared_ptr<ClientSession> session);
  void remove(const std::string& id);
  /// Waits for a session, as calls of one client come in any order. Throws Error{not_found} after some seconds, or
  /// Error{cancelled} when `gone` says so.
  std::shared_ptr<ClientSession> wait(const std::string& id, const std::function<bool()>& gone);
  bool empty();

 private:
  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<ClientSession>> open_;
};

}  // namespace cbuild::api
