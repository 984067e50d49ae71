// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

/// Waits of unit tests, so that one without an end is a failure of its case and nothing more. The main of the test
/// binaries watches: a wait of a minute, or a case of four, fails the case and names the wait; child processes of
/// the test binary are killed, and where the case still does not end, its thread is left alone and the next one begins.
namespace cbuild::test {

/// The waits under way, of all threads.
class Waits {
 public:
  using Clock = std::chrono::steady_clock;
  struct Wait {
    std::string subject;
    Clock::time_point begun;
  };
  using Place = std::list<Wait>::iterator;

  static Waits& all() {
    static Waits waits;
    return waits;
  }
  Place add(std::string subject) {
    const std::lock_guard lock(mutex_);
    return waits_.insert(waits_.end(), {std::move(subject), Clock::now()});
  }
  void remove(Place place) {
    const std::lock_guard lock(mutex_);
    waits_.erase(place);
  }
  /// The last one that began at `since` or later.
  std::optional<Wait> newest(Clock::time_point since) {
    const std::lock_guard lock(mutex_);
    if (waits_.empty() || waits_.back().begun < since) return std::nullopt;
    return waits_.back();
  }

 private:
  std::mutex mutex_;
  std::list<Wait> waits_;
};

/// To be alive while a test waits for `subject`, as in "the end of the child process".
class Awaiting {
 public:
  explicit Awaiting(std::string subject) : place_(Waits::all().add(std::move(subject))) {}
  ~Awaiting() { Waits::all().remove(place_); }
  Awaiting(const Awaiting&) = delete;
  Awaiting& operator=(const Awaiting&) = delete;

 private:
  Waits::Place place_;
};

}  // namespace cbuild::test
