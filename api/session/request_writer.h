// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cbuild::api {

/// Sends requests for files on a thread of its own: whoever reads what a client sends must never wait for the client to
/// read.
class RequestWriter {
 public:
  /// `send` sends the request for a file, `end` says that there are no more; false: the client is gone, and nothing
  /// more is sent.
  RequestWriter(std::function<bool(std::uint32_t)> send, std::function<bool()> end);
  /// Waits for the call under way.
  ~RequestWriter();
  RequestWriter(const RequestWriter&) = delete;
  RequestWriter& operator=(const RequestWriter&) = delete;

  void ask(std::uint32_t number);
  void finish();

 private:
  void run();
  bool send_all(const std::vector<std::uint32_t>& numbers) const;

  std::function<bool(std::uint32_t)> send_;
  std::function<bool()> end_;
  std::mutex mutex_;  ///< guards the next three
  std::vector<std::uint32_t> wanted_;
  bool finished_ = false, over_ = false;
  std::condition_variable changed_;
  std::jthread thread_;
};

}  // namespace cbuild::api
