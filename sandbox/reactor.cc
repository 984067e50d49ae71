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
#include "base/sys.h"
#include "base/text.h"
#include "base/threads.h"

namespace cbuild::sandbox {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
/// How long the output may stay open after the last process of a step ended: somebody outside holds it.
constexpr std::int64_t kDrainNs = 2'000'000'000;
/// How long a killed step may take to die: its process sits in an uninterruptible call.
constexpr std::int64_t kAbandonNs = 30'000'000'000;
constexpr int kSetupFailed = 125, kNotExecutable = 126, kNotFound = 127;

constexpr std::uint64_t kZygoteKey = 0, kWakeKey = 1;
constexpr std::uint64_t stream_key(std::uint64_t id, unsigned stream) { return id * 2 + stream; }  // ids begin at 1

std::pair<UniqueFd, UniqueFd> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) throw_errno(errno, "pipe");
  std::pair<UniqueFd, UniqueFd> ends{UniqueFd(fds[0]), UniqueFd(fds[1])};
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return ends;
}

void watch(int epoll, int fd, std::uint64_t key) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = key;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) throw_errno(errno, "epoll_ctl");
}

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

struct Reactor::Step {
  std::uint64_t id = 0;
  RunCallbacks callbacks;
  UniqueFd output[2];
  std::int64_t started_ns = 0;
  Exit exit;
  std::string last_words;  ///< why exec failed, for the log
  bool ended = false;
  std::int64_t kill_at = kNever, drain_at = kNever, abandon_at = kNever, timeout_at = kNever;

  // Orders from other threads, guarded by Reactor::mutex_.
  std::optional<std::int64_t> stop_grace_ns;
  std::string failure;  ///< the request could not be sent
};

class Reactor::Handle final : public RunningStep {
 public:
  Handle(std::weak_ptr<Reactor> reactor, std::uint64_t id) : reactor_(std::move(reactor)), id_(id) {}

  void stop(std::chrono::milliseconds grace) override {
    const auto reactor = reactor_.lock();
    if (!reactor) return;
    {
      const std::lock_guard lock(reactor->mutex_);
      const auto found = reactor->steps_.find(id_);
      if (found == reactor->steps_.end()) return;
      auto& order = found->second->stop_grace_ns;
      const std::int64_t grace_ns = std::chrono::nanoseconds(grace).count();
      order = std::min(order.value_or(kNever), grace_ns);
    }
    reactor->wake();
  }

 private:
  std::weak_ptr<Reactor> reactor_;
  const std::uint64_t id_;
};

Reactor::Reactor(std::shared_ptr<PacketSocket> zygote, const wire::Configure& configuration)
    : zygote_(std::move(zygote)),
      configuration_(configuration),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_ || !wake_) throw_errno(errno, "epoll");
  watch(epoll_.get(), zygote_->fd(), kZygoteKey);
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

void Reactor::send(const wire::Request& request, std::span<const int> first_descriptors) {
  std::vector<int> descriptors(first_descriptors.begin(), first_descriptors.end());
  const std::string data = wire::encode(request, descriptors);
  const std::lock_guard lock(send_mutex_);
  if (!configured_) {
    std::vector<int> none;
    zygote_->send(wire::encode(configuration_, none));
    configured_ = true;
  }
  zygote_->send(data, descriptors);
}

std::shared_ptr<RunningStep> Reactor::run(const Spec& spec, RunCallbacks callbacks) {
  auto [out_read, out_write] = make_pipe();
  auto [err_read, err_write] = make_pipe();
  auto step = std::make_shared<Step>();
  step->callbacks = std::move(callbacks);
  step->output[0] = std::move(out_read);
  step->output[1] = std::move(err_read);
  step->started_ns = sys::monotonic_ns();
  if (spec.timeout_ns) step->timeout_at = step->started_ns + *spec.timeout_ns;
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable()) thread_ = start_thread([this] { loop(); });
    step->id = ++last_id_;
    steps_.emplace(step->id, step);
    for (const unsigned stream : {0u, 1u})
      watch(epoll_.get(), step->output[stream].get(), stream_key(step->id, stream));
  }
  try {
    send(wire::Run{step->id, spec}, std::array{out_write.get(), err_write.get()});
  } catch (const Error& error) {
    const std::lock_guard lock(mutex_);
    step->failure = error.what();
  }
  if (spec.timeout_ns || !step->failure.empty()) wake();
  return std::make_shared<Handle>(weak_from_this(), step->id);
}

void Reactor::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    if (!thread_.joinable()) return;
    for (const auto& [id, step] : steps_) step->stop_grace_ns = 0;
  }
  wake();
  thread_.join();
}

std::shared_ptr<Reactor::Step> Reactor::find(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = steps_.find(id);
  return found == steps_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Reactor::Step>> Reactor::snapshot() {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Step>> all;
  for (const auto& [id, step] : steps_) all.push_back(step);
  return all;
}

int Reactor::wait_milliseconds() {
  std::int64_t next = kNever;
  for (const auto& step : snapshot())
    next = std::min({next, step->kill_at, step->drain_at, step->abandon_at, step->timeout_at});
  if (next == kNever) return -1;
  const std::int64_t left = next - sys::monotonic_ns();
  return left <= 0 ? 0 : static_cast<int>(std::min<std::int64_t>(left / 1'000'000 + 1, 1'000'000));
}

void Reactor::loop() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (closing_ && steps_.empty()) return;
    }
    epoll_event events[32];
    const int count = ::epoll_wait(epoll_.get(), events, 32, wait_milliseconds());
    for (int i = 0; i < count; ++i) dispatch(events[i].data.u64);
    on_deadlines();
  }
}

void Reactor::dispatch(std::uint64_t key) {
  if (key == kZygoteKey) return on_zygote();
  if (key == kWakeKey) return on_orders();
  const auto step = find(key / 2);
  if (!step) return;
  read_output(*step, static_cast<unsigned>(key % 2));
  finish_if_complete(step);
}

void Reactor::read_output(Step& step, unsigned stream) {
  static constexpr std::size_t kChunk = 64u << 10;
  thread_local std::vector<char> buffer(kChunk);
  UniqueFd& fd = step.output[stream];
  // Some chunks at a time, so that one noisy step does not hold up the others.
  for (int chunk = 0; chunk < 16 && fd; ++chunk) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0)
      fd.reset();
    else if (step.callbacks.output)
      step.callbacks.output(stream == 0 ? LogStream::out : LogStream::err,
                            {buffer.data(), static_cast<std::size_t>(got)});
  }
}

void Reactor::on_zygote() {
  try {
    if (const auto packet = zygote_->receive()) return on_ended(wire::decode_ended(packet->data));
  } catch (const Error&) {
    // Nonsense from there is as good as its end.
  }
  on_zygote_gone();
}

void Reactor::on_ended(const wire::Ended& ended) {
  const auto step = find(ended.id);
  if (!step || step->ended) return;
  step->ended = true;
  Exit& exit = step->exit;
  exit.code = code_of(ended);
  exit.oom_killed = ended.oom_killed;
  exit.user_ns = ended.user_ns;
  exit.system_ns = ended.system_ns;
  exit.max_rss_bytes = ended.max_rss_bytes;
  if (ended.exec_failure != setup::ExecFailure::none) {
    step->last_words = ended.failure + "\n";
  } else if (!ended.failure.empty()) {
    exit.setup_error = ended.failure;
    exit.setup_fault = ended.fault;
  }
  exit.wall_ns = sys::monotonic_ns() - step->started_ns;
  step->drain_at = sys::monotonic_ns() + kDrainNs;
  step->kill_at = step->timeout_at = step->abandon_at = kNever;
  for (const unsigned stream : {0u, 1u}) read_output(*step, stream);
  finish_if_complete(step);
}

void Reactor::on_zygote_gone() {
  if (!zygote_gone_) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, zygote_->fd(), nullptr);
  zygote_gone_ = true;
  for (const auto& step : snapshot()) {
    wire::Ended ended;
    ended.id = step->id;
    ended.failure = "the process that holds the sandboxes has ended";
    on_ended(ended);
  }
}

void Reactor::on_orders() {
  std::uint64_t count = 0;
  if (::read(wake_.get(), &count, sizeof count) < 0 && errno != EAGAIN) return;
  for (const auto& step : snapshot()) {
    std::optional<std::int64_t> grace_ns;
    wire::Ended failed;
    {
      const std::lock_guard lock(mutex_);
      grace_ns = std::exchange(step->stop_grace_ns, std::nullopt);
      failed.failure = std::exchange(step->failure, {});
    }
    failed.id = step->id;
    if (!failed.failure.empty()) on_ended(failed);
    if (!grace_ns || step->ended) continue;
    const bool first = !std::exchange(step->exit.cancelled, true);
    if (first && *grace_ns > 0) {
      try {
        send(wire::Signal{step->id, SIGTERM});
      } catch (const Error&) {
        // Its end is on the way.
      }
    }
    step->kill_at = std::min(step->kill_at, sys::monotonic_ns() + *grace_ns);
  }
}

void Reactor::kill(Step& step) {
  step.kill_at = step.timeout_at = kNever;
  step.abandon_at = sys::monotonic_ns() + kAbandonNs;
  try {
    send(wire::Signal{step.id, SIGKILL});
  } catch (const Error&) {
    // Its end is on the way.
  }
}

void Reactor::on_deadlines() {
  const std::int64_t now = sys::monotonic_ns();
  for (const auto& step : snapshot()) {
    if (step->timeout_at <= now) {
      step->exit.timed_out = true;
      kill(*step);
    }
    if (step->kill_at <= now) kill(*step);
    if (step->abandon_at <= now) {
      wire::Ended ended;
      ended.id = step->id;
      ended.wait_status = SIGKILL;
      ended.failure = "killed, but its processes do not end";
      on_ended(ended);
    }
    if (step->drain_at <= now) {
      for (const unsigned stream : {0u, 1u}) {
        read_output(*step, stream);
        step->output[stream].reset();
      }
    }
    finish_if_complete(step);
  }
}

void Reactor::finish_if_complete(const std::shared_ptr<Step>& step) {
  if (!step->ended || step->output[0] || step->output[1]) return;
  {
    const std::lock_guard lock(mutex_);
    if (steps_.erase(step->id) == 0) return;
  }
  if (!step->last_words.empty() && step->callbacks.output) step->callbacks.output(LogStream::err, step->last_words);
  if (step->callbacks.done) step->callbacks.done(step->exit);
}

}  // namespace cbuild::sandbox
