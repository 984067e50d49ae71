// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "base/fd.h"

namespace cbuild {

/// Tells long work to stop. Thread-safe. cancel() is idempotent and async-signal-safe.
class CancelSource {
 public:
  CancelSource();
  CancelSource(const CancelSource&) = delete;
  CancelSource& operator=(const CancelSource&) = delete;

  void cancel() noexcept;
  bool cancelled() const noexcept { return flag_.load(std::memory_order_acquire); }
  /// Becomes readable when cancelled; for poll(2).
  int event_fd() const noexcept { return event_.get(); }
  /// Throws Error{cancelled} when cancelled.
  void check() const;

 private:
  std::atomic<bool> flag_{false};
  UniqueFd event_;
};

}  // namespace cbuild
