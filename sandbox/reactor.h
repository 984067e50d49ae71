// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sandbox/packet_socket.h"
#include "sandbox/runner.h"
#include "sandbox/wire.h"

namespace cbuild::sandbox {

/// The one thread that serves all running steps: the zygote's messages, the output pipes, the deadlines.
/// Begun by the first step. A step is done when the zygote has reported its end and both pipes are at theirs.
class Reactor : public std::enable_shared_from_this<Reactor> {
 public:
  static std::shared_ptr<Reactor> make(std::shared_ptr<PacketSocket> zygote, const wire::Configure& configuration);
  ~Reactor();

  std::shared_ptr<RunningStep> run(const Spec& spec, RunCallbacks callbacks);
  /// Kills running steps, waits until every step is done, ends the thread. Not from a callback.
  void close();

 private:
  struct Step;
  class Handle;
  using StepMap = std::map<std::uint64_t, std::shared_ptr<Step>>;

  Reactor(std::shared_ptr<PacketSocket> zygote, const wire::Configure& configuration);
  void wake() const;
  void loop();
  int wait_milliseconds();
  void dispatch(std::uint64_t key);
  void on_zygote();
  void on_ended(const wire::Ended& ended);
  void on_zygote_gone();
  void on_orders();
  void on_deadlines();
  void read_output(Step& step, unsigned stream);
  void finish_if_complete(const std::shared_ptr<Step>& step);
  void send(const wire::Request& request, std::span<const int> first_descriptors = {});
  void kill(Step& step);
  std::shared_ptr<Step> find(std::uint64_t id);
  std::vector<std::shared_ptr<Step>> snapshot();

  const std::shared_ptr<PacketSocket> zygote_;
  const wire::Configure configuration_;
  UniqueFd epoll_, wake_;

  std::mutex send_mutex_;  // guards the sending side of zygote_ and configured_
  bool configured_ = false;

  std::mutex mutex_;  // guards all below and the orders in each Step
  StepMap steps_;
  std::uint64_t last_id_ = 0;
  bool closing_ = false;
  std::jthread thread_;

  // Of the thread alone.
  bool zygote_gone_ = false;
};

}  // namespace cbuild::sandbox
