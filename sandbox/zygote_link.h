// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "sandbox/packet_socket.h"
#include "sandbox/wire.h"

namespace cbuild::sandbox {

/// The builder's end of the socket to the zygote. What the zygote has to know of the machine goes before the first
/// request. Sending is thread-safe, receiving is for one thread.
class ZygoteLink {
 public:
  ZygoteLink(std::shared_ptr<PacketSocket> socket, const wire::Configure& configuration)
      : socket_(std::move(socket)), configuration_(configuration) {}

  int fd() const { return socket_->fd(); }
  /// Throws Error if the zygote is gone. `first_descriptors` travel before those of the request.
  void send(const wire::Request& request, std::span<const int> first_descriptors = {});
  /// A signal for a step; none if the zygote is gone, because then the end of the step is on the way.
  void send_signal(std::uint64_t id, int number);
  /// The next step that has ended; nullopt if the zygote is gone or sends nonsense, which is as good as its end.
  std::optional<wire::Ended> receive();

 private:
  const std::shared_ptr<PacketSocket> socket_;
  const wire::Configure configuration_;
  std::mutex mutex_;  // guards the sending side of socket_, and configured_
  bool configured_ = false;
};

}  // namespace cbuild::sandbox
