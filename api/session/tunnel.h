// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "api/session/client_session.h"
#include "base/fd.h"

namespace cbuild::api {

/// The bytes of a client's call Control.Session as a socket. Two threads carry them, each with one buffer: a side that
/// does not read makes the other one wait. When one side ends, so does the other. Thread-safe.
class Tunnel {
 public:
  explicit Tunnel(SessionStream stream);
  /// Closes, and waits.
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  /// The other end of the socket, not blocking. Once only.
  UniqueFd take_end() { return std::move(far_); }
  /// False as soon as one side has ended.
  bool is_open() const noexcept { return open_.load(std::memory_order_acquire); }
  /// Readable once it is not open; for poll(2).
  int end_fd() const noexcept { return end_event_.get(); }
  void close() noexcept;
  /// Until neither thread uses the stream any more.
  void wait_closed();

 private:
  void carry_in();
  void carry_out();
  void end(bool& direction) noexcept;
  void shut() noexcept;

  SessionStream stream_;
  UniqueFd near_, far_, end_event_;
  std::atomic<bool> open_{true};
  std::mutex mutex_;  ///< guards the next two and stopped_; the stream is stopped under it, as it may be gone later
  bool carries_in_ = true, carries_out_ = true;
  bool stopped_ = false;
  std::condition_variable ended_;
  std::jthread in_, out_;
};

}  // namespace cbuild::api
