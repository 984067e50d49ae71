// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace cbuild::sandbox {

/// One message with the descriptors that came with it.
struct Packet {
  std::string data;
  std::vector<UniqueFd> descriptors;
};

/// A SOCK_SEQPACKET unix socket that carries messages and descriptors of any number. The kernel takes 253 descriptors
/// and a socket buffer in one message, so more descriptors go ahead in messages of their own and more data goes in a
/// memfd. One sender at a time, one receiver at a time.
class PacketSocket {
 public:
  PacketSocket() = default;
  explicit PacketSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  static std::pair<PacketSocket, PacketSocket> pair();

  int fd() const { return fd_.get(); }
  /// Throws Error{io}, also when the other side is gone.
  void send(std::string_view data, std::span<const int> descriptors = {});
  /// Blocks for one message; nullopt when the other side is gone. Throws Error for bytes that are not a message of
  /// send().
  std::optional<Packet> receive();
  /// Both directions end; the other side sees it.
  void shut_down() noexcept;

 private:
  UniqueFd fd_;
};

}  // namespace cbuild::sandbox
