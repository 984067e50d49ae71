// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

namespace cbuild::api {

struct SessionChannel;

/// Asks a client at intervals whether it is alive, and closes the session of one that is not: a connection alone does
/// not tell a stopped program from a slow one.
class HealthWatch {
 public:
  /// `channel` is borrowed. Does nothing if the client does not offer it, or with an interval of zero.
  explicit HealthWatch(SessionChannel& channel);
  /// Closes the session, too: a question under way does not hold it up.
  ~HealthWatch();
  HealthWatch(const HealthWatch&) = delete;
  HealthWatch& operator=(const HealthWatch&) = delete;

 private:
  void run();
  bool ask();
  bool pause();

  SessionChannel& channel_;
  std::mutex mutex_;  ///< guards over_
  std::condition_variable changed_;
  bool over_ = false;
  std::jthread thread_;
};

}  // namespace cbuild::api
