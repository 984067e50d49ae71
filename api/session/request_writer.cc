// SPDX-License-Identifier: Apache-2.0
#include "api/session/request_writer.h"

#include <algorithm>
#include <utility>

#include "base/process/threads.h"

namespace cbuild::api {

RequestWriter::RequestWriter(std::function<bool(std::uint32_t)> send, std::function<bool()> end)
    : send_(std::move(send)), end_(std::move(end)), thread_(start_thread([this] { run(); })) {}

RequestWriter::~RequestWriter() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void RequestWriter::ask(std::uint32_t number) {
  {
    const std::lock_guard lock(mutex_);
    wanted_.push_back(number);
  }
  changed_.notify_all();
}

void RequestWriter::finish() {
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }
  changed_.notify_all();
}

void RequestWriter::run() {
  for (;;) {
    std::vector<std::uint32_t> numbers;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return over_ || finished_ || !wanted_.empty(); });
      if (over_) return;
      numbers.swap(wanted_);
    }
    if (!send_all(numbers)) return;
    const std::lock_guard lock(mutex_);
    if (finished_ && wanted_.empty()) break;
  }
  end_();
}

bool RequestWriter::send_all(const std::vector<std::uint32_t>& numbers) const {
  return std::ranges::all_of(numbers, send_);
}

}  // namespace cbuild::api
