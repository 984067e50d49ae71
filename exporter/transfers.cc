// SPDX-License-Identifier: Apache-2.0
#include "exporter/transfers.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace cbuild::exporter {
namespace {

constexpr std::size_t kAtOnce = 4;

}  // namespace

void run_transfers(std::size_t count, const std::function<void(std::size_t)>& transfer) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;  // guards failure
  std::exception_ptr failure;
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        transfer(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min(kAtOnce, count); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace cbuild::exporter
