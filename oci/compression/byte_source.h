// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <utility>

namespace cbuild::oci::layer {

/// Where the bytes of a blob come from: a descriptor, or something that is still on its way.
class ByteSource {
 public:
  /// Fills the beginning of `room` and says how much; waits until there is something; 0 at the end. May throw.
  using Read = std::function<std::size_t(std::span<std::byte> room)>;

  /// A file, pipe or socket; borrowed.
  ByteSource(int fd);                                // NOLINT(google-explicit-constructor): all that reads takes either
  ByteSource(Read read) : read_(std::move(read)) {}  // NOLINT(google-explicit-constructor)

  std::size_t read(std::span<std::byte> room) const { return read_(room); }

 private:
  Read read_;
};

}  // namespace cbuild::oci::layer
