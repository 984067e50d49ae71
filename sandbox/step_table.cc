// SPDX-License-Identifier: Apache-2.0
// What the reactor's thread knows of each step, and a table by which other threads reach it: they leave orders, and
// only the reactor's thread carries them out.
#include "sandbox/step_table.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/sys.h"

namespace cbuild::sandbox {
namespace {

/// How long the output may stay open after the last process of a step ended: somebody outside holds it.
constexpr std::int64_t kDrainNs = 2'000'000'000;
constexpr int kSetupFailed = 125, kNotExecutable = 126, kNotFound = 127;

int code_of(const wire::Ended& ended) {
  const bool missing =
      ended.exec_failure == setup::ExecFailure::not_found || ended.exec_failure == setup::ExecFailure::not_in_path ||
      (ended.exec_failure == setup::ExecFailure::exec_failed && ended.failure.ends_with(": no such file or directory"));
  if (missing) return kNotFound;
  if (ended.exec_failure != setup::ExecFailure::none) return kNotExecutable;
  if (!ended.failure.empty()) return kSetupFailed;
  return WIFSIGNALED(ended.wait_status) ? 128 + WTERMSIG(ended.wait_status) : WEXITSTATUS(ended.wait_status);
}

}  // namespace

std::int64_t ReactorStep::next_deadline() const { return std::min({kill_at, drain_at, abandon_at, timeout_at}); }

void ReactorStep::read_output(unsigned stream) {
  static constexpr std::size_t kChunk = 64u << 10;
  thread_local std::vector<char> buffer(kChunk);
  UniqueFd& fd = output[stream];
  for (int chunk = 0; chunk < 16 && fd; ++chunk) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0)
      fd.reset();
    else if (callbacks.output)
      callbacks.output(stream == 0 ? LogStream::out : LogStream::err, {buffer.data(), static_cast<std::size_t>(got)});
  }
}

void ReactorStep::take_end(const wire::Ended& end) {
  ended = true;
  exit.code = code_of(end);
  exit.use = end.use;
  if (end.exec_failure != setup::ExecFailure::none) {
    last_words = end.failure + "\n";
  } else if (!end.failure.empty()) {
    exit.setup_error = end.failure;
    exit.setup_fault = end.fault;
  }
  exit.wall_ns = sys::monotonic_ns() - started_ns;
  drain_at = sys::monotonic_ns() + kDrainNs;
  kill_at = timeout_at = abandon_at = kNever;
}

std::uint64_t StepTable::next_id() {
  const std::lock_guard lock(mutex_);
  return ++last_id_;
}

void StepTable::add(const std::shared_ptr<ReactorStep>& step) {
  const std::lock_guard lock(mutex_);
  rows_.emplace(step->id, Row{step, {}});
}

std::shared_ptr<ReactorStep> StepTable::find(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = rows_.find(id);
  return found == rows_.end() ? nullptr : found->second.step;
}

std::vector<std::shared_ptr<ReactorStep>> StepTable::all() {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<ReactorStep>> steps;
  for (const auto& [id, row] : rows_) steps.push_back(row.step);
  return steps;
}

bool StepTable::empty() {
  const std::lock_guard lock(mutex_);
  return rows_.empty();
}

bool StepTable::remove(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  return rows_.erase(id) != 0;
}

bool StepTable::order_stop(std::uint64_t id, std::int64_t grace_ns) {
  const std::lock_guard lock(mutex_);
  const auto found = rows_.find(id);
  if (found == rows_.end()) return false;
  auto& order = found->second.orders.stop_grace_ns;
  order = std::min(order.value_or(kNever), grace_ns);
  return true;
}

void StepTable::order_stop_of_all() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, row] : rows_) row.orders.stop_grace_ns = 0;
}

void StepTable::note_failure(std::uint64_t id, std::string failure) {
  const std::lock_guard lock(mutex_);
  if (const auto found = rows_.find(id); found != rows_.end()) found->second.orders.failure = std::move(failure);
}

StepTable::Orders StepTable::take_orders(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = rows_.find(id);
  return found == rows_.end() ? Orders{} : std::exchange(found->second.orders, {});
}

}  // namespace cbuild::sandbox
