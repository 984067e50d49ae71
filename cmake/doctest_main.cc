// SPDX-License-Identifier: Apache-2.0
// The main of every unit test binary. Each test case runs on a second thread while this one watches it: a case that
// hangs is failed with the name of the wait (base/test_wait.h), its child processes are killed, which ends most hangs,
// and if it still does not end, its thread keeps its stack for ever and the next case gets a new thread. So what a
// hanging case has on its stack is never destroyed under a thread that uses it. The thread is the same one for all
// cases that end, because a child process may ask to die with the thread that forked it.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "base/test_wait.h"

namespace {

using cbuild::test::Waits;
using std::chrono::seconds;
using Body = void (*)();

/// The longest that a test waits for one thing; a case may take four times as long.
seconds time_limit() {
  const char* set = std::getenv("CBUILD_TEST_TIMEOUT");
  const int given = set == nullptr ? 0 : std::atoi(set);
  return seconds(given > 0 ? given : 60);
}

/// Calls one function after the other on a thread of its own.
class Worker {
 public:
  Worker() {
    thread_ = std::thread([state = state_] { serve(*state); });
  }
  ~Worker() {
    {
      const std::lock_guard lock(state_->mutex);
      state_->ended = true;
      if (state_->body != nullptr) thread_.detach();
    }
    state_->changed.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start(Body body) {
    const std::lock_guard lock(state_->mutex);
    state_->thrown = nullptr;
    state_->body = body;
    state_->changed.notify_all();
  }
  /// Whether the function has returned, within `limit`.
  bool wait(std::chrono::milliseconds limit) {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, limit, [&] { return state_->body == nullptr; });
  }
  /// What it threw, if anything.
  std::exception_ptr thrown() const {
    const std::lock_guard lock(state_->mutex);
    return state_->thrown;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    Body body = nullptr;
    std::exception_ptr thrown;
    bool ended = false;
  };

  static void serve(State& state) {
    std::unique_lock lock(state.mutex);
    while (true) {
      state.changed.wait(lock, [&] { return state.body != nullptr || state.ended; });
      if (state.body == nullptr) return;
      const Body body = state.body;
      lock.unlock();
      std::exception_ptr thrown;
      try {
        body();
      } catch (...) {
        thrown = std::current_exception();
      }
      lock.lock();
      state.thrown = std::move(thrown);
      state.body = nullptr;
      state.changed.notify_all();
    }
  }

  const std::shared_ptr<State> state_ = std::make_shared<State>();
  std::thread thread_;
};

struct Watch {
  std::map<const doctest::detail::TestCase*, Body> bodies;
  std::unique_ptr<Worker> worker;
  bool abandoned = false;  ///< a case that never ends
  sigset_t mask;           ///< of the threads that run cases; this one takes no signals

  void begin_worker() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    worker = std::make_unique<Worker>();
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
  }
};

Watch& watch() {
  static Watch watch;
  return watch;
}

/// Processes and their parents.
std::map<pid_t, pid_t> parents() {
  std::map<pid_t, pid_t> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    std::string text;
    std::getline(std::ifstream(entry.path() / "stat"), text);
    const std::size_t name_end = text.rfind(')');
    char state = 'Z';
    pid_t parent = 0;
    if (name_end != std::string::npos) std::istringstream(text.substr(name_end + 1)) >> state >> parent;
    if (state != 'Z') out[pid] = parent;
  }
  return out;
}

/// Kills what this process started, and what that started.
void kill_descendants() {
  const std::map<pid_t, pid_t> all = parents();
  std::set<pid_t> found = {::getpid()};
  for (std::size_t before = 0; before != found.size();) {
    before = found.size();
    for (const auto& [pid, parent] : all)
      if (found.count(parent)) found.insert(pid);
  }
  for (const pid_t pid : found)
    if (pid != ::getpid()) ::kill(pid, SIGKILL);
}

/// What a case that began at `begun` hangs at.
std::optional<std::string> hang(Waits::Clock::time_point begun) {
  const auto now = Waits::Clock::now();
  const auto wait = Waits::all().newest(begun);
  if (wait && now - wait->begun > time_limit())
    return "waited " + std::to_string(time_limit().count()) + " s for " + wait->subject;
  if (now - begun <= 4 * time_limit()) return std::nullopt;
  return "the test case does not end in " + std::to_string(4 * time_limit().count()) + " s" +
         (wait ? "; it waits for " + wait->subject : "");
}

/// Ends a case that hangs; leaves its thread alone if nothing helps.
void end_hanging(const doctest::detail::TestCase& test, const std::string& why) {
  ADD_FAIL_CHECK_AT(test.m_file.c_str(), static_cast<int>(test.m_line), why);
  kill_descendants();
  if (watch().worker->wait(time_limit() / 6 + seconds(1))) return;
  ADD_FAIL_CHECK_AT(test.m_file.c_str(), static_cast<int>(test.m_line), "its thread is left behind");
  watch().abandoned = true;
  watch().begin_worker();
  doctest::detail::g_cs->nextSubcaseStack.clear();
}

/// Stands in for the function of every test case.
void run_watched() {
  const doctest::detail::TestCase& test = *doctest::detail::g_cs->currentTest;
  const auto begun = Waits::Clock::now();
  Worker& worker = *watch().worker;
  worker.start(watch().bodies.at(&test));
  while (!worker.wait(std::chrono::milliseconds(200))) {
    if (const auto why = hang(begun)) {
      end_hanging(test, *why);
      return;
    }
  }
  if (const auto thrown = worker.thrown()) std::rethrow_exception(thrown);
}

int run_cases(int argc, char** argv) {
  for (const doctest::detail::TestCase& test : doctest::detail::getRegisteredTests()) {
    watch().bodies[&test] = test.m_test;
    const_cast<doctest::detail::TestCase&>(test).m_test = run_watched;  // it is not part of their order
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &watch().mask);
  watch().begin_worker();
  const int code = doctest::Context(argc, argv).run();
  if (watch().abandoned) {
    kill_descendants();
    std::cout.flush();
    std::fflush(nullptr);
    ::_exit(code == 0 ? 1 : code);
  }
  watch().worker.reset();
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  // As in the program: what a test opens never becomes 0, 1 or 2.
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd < 3) fd = ::open("/dev/null", O_RDWR);
  if (fd >= 0) ::close(fd);
  return run_cases(argc, argv);
}

#ifdef CBUILD_TSAN
// oneTBB is not instrumented: the memory that its own threads hand to each other looks like a race in memset and
// memmove.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  // The counter of an exception's owners is in libstdc++, which is not instrumented, so the last owner seems to race.
  return "called_from_lib:libtbb.so\nrace:std::__exception_ptr::exception_ptr::_M_release\n";
}

// Cases run on a thread of their own, so a child of a test is one of a process with threads. It may start more.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }
#endif
