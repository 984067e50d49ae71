// SPDX-License-Identifier: Apache-2.0
#include "sandbox/zygote_link.h"

#include <string>
#include <vector>

#include "base/error.h"

namespace cbuild::sandbox {

void ZygoteLink::send(const wire::Request& request, std::span<const int> first_descriptors) {
  std::vector<int> descriptors(first_descriptors.begin(), first_descriptors.end());
  const std::string data = wire::encode(request, descriptors);
  const std::lock_guard lock(mutex_);
  if (!configured_) {
    std::vector<int> none;
    socket_->send(wire::encode(configuration_, none));
    configured_ = true;
  }
  socket_->send(data, descriptors);
}

void ZygoteLink::send_signal(std::uint64_t id, int number) {
  try {
    send(wire::Signal{id, number});
  } catch (const Error&) {
    // Its end is on the way.
  }
}

std::optional<wire::Ended> ZygoteLink::receive() {
  try {
    if (const auto packet = socket_->receive()) return wire::decode_ended(packet->data);
  } catch (const Error&) {
    // Nonsense.
  }
  return std::nullopt;
}

}  // namespace cbuild::sandbox
