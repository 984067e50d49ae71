// SPDX-License-Identifier: Apache-2.0
//
// An epoll loop in one thread for all steps: messages of the zygote, two output pipes for each step, deadlines, and
// orders (kill, cancel) of other threads, which wake it by an eventfd. A step ends when the zygote reported its end and
// both pipes are at theirs; a pipe that somebody outside keeps open is given up after a time limit, as is a killed
// process that does not die. Callbacks run in this thread without the mutex held.
#include "sandbox/reactor.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::sandbox {
namespace {

/// How long a killed step may take to die: its process sits in an uninterruptible call.
constexpr std::int64_t kAbandonNs = 30'000'000'000;

constexpr std::uint64_t kZygoteKey = 0, kWakeKey = 1;
constexpr std::uint64_t stream_key(std::uint64_t id, unsigned stream) { return id * 2 + stream; }  // ids begin at 1

/// The reading end does not block; the writing one is a command's.
Pipe make_output_pipe() {
  Pipe out = make_pipe();
  ::fcntl(out.read.get(), F_SETFL, O_NONBLOCK);
  return out;
}

void watch(int epoll, int fd, std::uint64_t key) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = key;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) throw_errno(errno, "epoll_ctl");
}

int wait_milliseconds(const std::vector<std::shared_ptr<ReactorStep>>& steps) {
  std::int64_t next = kNever;
  for (const auto& step : steps) next = std::min(next, step->next_deadline());
  if (next == kNever) return -1;
  const std::int64_t left = next - sys::monotonic_ns();
  return left <= 0 ? 0 : static_cast<int>(std::min<std::int64_t>(left / 1'000'000 + 1, 1'000'000));
}

void kill(ReactorStep& step, ZygoteLink& zygote) {
  step.kill_at = step.timeout_at = kNever;
  step.abandon_at = sys::monotonic_ns() + kAbandonNs;
  zygote.send_signal(step.id, SIGKILL);
}

}  // namespace

class Reactor::Handle final : public RunningStep {
 public:
  Handle(std::weak_ptr<Reactor> reactor, std::uint64_t id) : reactor_(std::move(reactor)), id_(id) {}

  void stop(std::chrono::milliseconds grace) override {
    const auto reactor = reactor_.lock();
    if (reactor && reactor->steps_.order_stop(id_, std::chrono::nanoseconds(grace).count())) reactor->wake();
  }

 private:
  std::weak_ptr<Reactor> reactor_;
  const std::uint64_t id_;
};

Reactor::Reactor(std::shared_ptr<PacketSocket> zygote, const wire::Configure& configuration)
    : zygote_(std::move(zygote), configuration),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_ || !wake_) throw_errno(errno, "epoll");
  watch(epoll_.get(), zygote_.fd(), kZygoteKey);
  watch(epoll_.get(), wake_.get(), kWakeKey);
}

std::shared_ptr<Reactor> Reactor::make(std::shared_ptr<PacketSocket> zygote, const wire::Configure& configuration) {
  return std::shared_ptr<Reactor>(new Reactor(std::move(zygote), configuration));
}

Reactor::~Reactor() = default;

void Reactor::wake() const {
  const std::uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

std::shared_ptr<RunningStep> Reactor::run(const Spec& spec, RunCallbacks callbacks) {
  auto [out_read, out_write] = make_output_pipe();
  auto [err_read, err_write] = make_output_pipe();
  auto step = std::make_shared<ReactorStep>();
  step->id = steps_.next_id();
  step->callbacks = std::move(callbacks);
  step->output[0] = std::move(out_read);
  step->output[1] = std::move(err_read);
  step->started_ns = sys::monotonic_ns();
  if (spec.timeout_ns) step->timeout_at = step->started_ns + *spec.timeout_ns;
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable()) thread_ = start_thread([this] { loop(); });
  }
  for (const unsigned stream : {0u, 1u}) watch(epoll_.get(), step->output[stream].get(), stream_key(step->id, stream));
  steps_.add(step);
  bool sent = true;
  try {
    zygote_.send(wire::Run{step->id, spec}, std::array{out_write.get(), err_write.get()});
  } catch (const Error& error) {
    steps_.note_failure(step->id, error.what());
    sent = false;
  }
  if (spec.timeout_ns || !sent) wake();
  return std::make_shared<Handle>(weak_from_this(), step->id);
}

void Reactor::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    if (!thread_.joinable()) return;
  }
  steps_.order_stop_of_all();
  wake();
  thread_.join();
}

void Reactor::loop() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (closing_ && steps_.empty()) return;
    }
    epoll_event events[32];
    const int count = ::epoll_wait(epoll_.get(), events, 32, wait_milliseconds(steps_.all()));
    for (int i = 0; i < count; ++i) dispatch(events[i].data.u64);
    on_deadlines();
  }
}

void Reactor::dispatch(std::uint64_t key) {
  if (key == kZygoteKey) return on_zygote();
  if (key == kWakeKey) return on_orders();
  const auto step = steps_.find(key / 2);
  if (!step) return;
  step->read_output(static_cast<unsigned>(key % 2));
  finish_if_done(step);
}

/// Once the zygote is gone, so are all steps.
void Reactor::on_zygote() {
  if (const auto ended = zygote_.receive()) return on_ended(*ended);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, zygote_.fd(), nullptr);
  for (const auto& step : steps_.all()) {
    wire::Ended ended;
    ended.id = step->id;
    ended.failure = "the process that holds the sandboxes has ended";
    on_ended(ended);
  }
}

void Reactor::on_ended(const wire::Ended& ended) {
  const auto step = steps_.find(ended.id);
  if (!step || step->ended) return;
  step->take_end(ended);
  for (const unsigned stream : {0u, 1u}) step->read_output(stream);
  finish_if_done(step);
}

void Reactor::on_orders() {
  std::uint64_t count = 0;
  if (::read(wake_.get(), &count, sizeof count) < 0 && errno != EAGAIN) return;
  for (const auto& step : steps_.all()) {
    const StepTable::Orders orders = steps_.take_orders(step->id);
    if (!orders.failure.empty()) {
      wire::Ended failed;
      failed.id = step->id;
      failed.failure = orders.failure;
      on_ended(failed);
    }
    if (!orders.stop_grace_ns || step->ended) continue;
    const bool first = !std::exchange(step->exit.cancelled, true);
    if (first && *orders.stop_grace_ns > 0) zygote_.send_signal(step->id, SIGTERM);
    step->kill_at = std::min(step->kill_at, sys::monotonic_ns() + *orders.stop_grace_ns);
  }
}

void Reactor::on_deadlines() {
  const std::int64_t now = sys::monotonic_ns();
  for (const auto& step : steps_.all()) {
    if (step->timeout_at <= now) {
      step->exit.timed_out = true;
      kill(*step, zygote_);
    }
    if (step->kill_at <= now) kill(*step, zygote_);
    if (step->abandon_at <= now) {
      wire::Ended ended;
      ended.id = step->id;
      ended.wait_status = SIGKILL;
      ended.failure = "killed, but its processes do not end";
      on_ended(ended);
    }
    if (step->drain_at <= now) {
      for (const unsigned stream : {0u, 1u}) {
        step->read_output(stream);
        step->output[stream].reset();
      }
    }
    finish_if_done(step);
  }
}

void Reactor::finish_if_done(const std::shared_ptr<ReactorStep>& step) {
  if (!step->is_done() || !steps_.remove(step->id)) return;
  if (!step->last_words.empty() && step->callbacks.output) step->callbacks.output(LogStream::err, step->last_words);
  if (step->callbacks.done) step->callbacks.done(step->exit);
}

}  // namespace cbuild::sandbox
