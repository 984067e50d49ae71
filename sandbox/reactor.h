// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <thread>

#include "sandbox/packet_socket.h"
#include "sandbox/runner.h"
#include "sandbox/step_table.h"
#include "sandbox/wire.h"
#include "sandbox/zygote_link.h"

namespace cbuild::sandbox {

/// The one thread that serves all running steps: the zygote's messages, the output pipes, the deadlines.
/// Begun by the first step.
class Reactor : public std::enable_shared_from_this<Reactor> {
 public:
  static std::shared_ptr<Reactor> make(std::shared_ptr<PacketSocket> zygote, const wire::Configure& configuration);
  ~Reactor();

  std::shared_ptr<RunningStep> run(const Spec& spec, RunCallbacks callbacks);
  /// Kills running steps, waits until every step is done, ends the thread. Not from a callback.
  void close();

 private:
  class Handle;

  Reactor(std::shared_ptr<PacketSocket> zygote, const wire::Configure& configuration);
  void wake() const;
  void loop();
  void dispatch(std::uint64_t key);
  void on_zygote();
  void on_ended(const wire::Ended& ended);
  void on_orders();
  void on_deadlines();
  void finish_if_done(const std::shared_ptr<ReactorStep>& step);

  ZygoteLink zygote_;
  UniqueFd epoll_, wake_;
  StepTable steps_;
  std::mutex mutex_;  // guards closing_ and the start of the thread
  bool closing_ = false;
  std::jthread thread_;
};

}  // namespace cbuild::sandbox
