// SPDX-License-Identifier: Apache-2.0
#include "base/process/threads.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/process/process_limits.h"

namespace cbuild {
namespace {

/// Threads and processes that are left free for work without which nothing goes on.
constexpr unsigned kKept = 6;

std::optional<std::jthread> start(std::function<void()> work) {
  try {
    return std::jthread(std::move(work));
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

/// Of this process; a thread that was joined counts, here and for the limits, until the kernel has put it away.
nlink_t threads_of_process() {
  struct stat st {};
  return ::stat("/proc/self/task", &st) == 0 ? st.st_nlink : 0;
}

void wait_for_ends(nlink_t before) {
  for (int tries = 0; tries < 200 && threads_of_process() > before; ++tries) ::usleep(1000);
}

}  // namespace

std::optional<std::jthread> try_start_thread(std::function<void()> work) {
  if (!has_room_for_threads(kKept + 1)) return std::nullopt;
  return start(std::move(work));
}

std::jthread start_thread(std::function<void()> work) {
  if (auto thread = start(std::move(work))) return std::move(*thread);
  throw Error(ErrorCode::unsupported, "start a thread: Resource temporarily unavailable").with_errno(EAGAIN);
}

void run_at_once(std::size_t count, std::size_t at_once, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;  // guards failure
  std::exception_ptr failure;
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < std::min(at_once, count); ++i) {
      auto thread = try_start_thread(run);
      if (!thread) break;
      threads.push_back(std::move(*thread));
    }
    run();
  }
  if (failure) std::rethrow_exception(failure);
}

bool has_room_for_threads(unsigned wanted) {
  if (!is_thread_limit_near(wanted)) return true;
  const nlink_t before = threads_of_process();
  std::mutex mutex;
  std::condition_variable changed;
  bool enough = false;
  const auto stay = [&] {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return enough; });
  };
  std::vector<std::jthread> threads;
  threads.reserve(wanted);
  while (threads.size() < wanted) {
    auto thread = start(stay);
    if (!thread) break;
    threads.push_back(std::move(*thread));
  }
  {
    const std::lock_guard lock(mutex);
    enough = true;
  }
  changed.notify_all();
  const bool has_all = threads.size() == wanted;
  threads.clear();
  wait_for_ends(before);
  return has_all;
}

}  // namespace cbuild
