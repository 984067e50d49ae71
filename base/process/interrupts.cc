// SPDX-License-Identifier: Apache-2.0
#include "base/process/interrupts.h"

#include <signal.h>

#include <array>
#include <atomic>

namespace cbuild {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

// A signal handler can reach nothing but a global.
std::atomic<CancelSource*> g_cancel{nullptr};
std::atomic<int> g_received{0};

void on_signal(int signal) {
  if (g_received.fetch_add(1) > 0) {
    ::signal(signal, SIG_DFL);
    raise(signal);
  }
  if (CancelSource* cancel = g_cancel.load()) cancel->cancel();
}

/// The other side of a connection is gone: it says so once, next to whatever signals it may have sent.
void on_hangup(int) {
  if (CancelSource* cancel = g_cancel.load()) cancel->cancel();
}

}  // namespace

Interrupts::Interrupts(CancelSource& source) {
  g_received = 0;
  g_cancel = &source;
  struct sigaction action {};
  action.sa_handler = on_signal;
  for (const int signal : kSignals) sigaction(signal, &action, nullptr);
  action.sa_handler = on_hangup;
  sigaction(SIGIO, &action, nullptr);
}

Interrupts::~Interrupts() {
  for (const int signal : kSignals) ::signal(signal, SIG_DFL);
  ::signal(SIGIO, SIG_DFL);
  g_cancel = nullptr;
}

}  // namespace cbuild
