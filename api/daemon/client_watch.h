// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/cancel.h"

namespace cbuild::api {

/// Ends a build when the call that it works for is given up.
class ClientWatch {
 public:
  /// `gone` is asked from a thread of its own.
  ClientWatch(std::function<bool()> gone, CancelSource& cancel);
  ~ClientWatch();
  ClientWatch(const ClientWatch&) = delete;
  ClientWatch& operator=(const ClientWatch&) = delete;

 private:
  std::mutex mutex_;  // guards done_
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace cbuild::api
