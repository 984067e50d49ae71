// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

namespace cbuild::oci::layer {

/// Bytes that are not zeroed before use: a block of half a megabyte that holds 4 KiB touches two pages, not 128.
class RawBuffer {
 public:
  /// Makes room for `capacity` bytes in all; the content of the buffer is kept.
  void reserve(std::size_t capacity) {
    if (capacity <= capacity_) return;
    auto bigger = std::make_unique_for_overwrite<std::byte[]>(capacity);
    if (size_ > 0) std::memcpy(bigger.get(), bytes_.get(), size_);
    bytes_ = std::move(bigger);
    capacity_ = capacity;
  }
  /// The reserved bytes behind the content.
  std::span<std::byte> room() { return {bytes_.get() + size_, capacity_ - size_}; }
  /// Declares the first `count` bytes of room() written.
  void advance(std::size_t count) { size_ += count; }
  void append(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    reserve(size_ + bytes.size());
    std::memcpy(bytes_.get() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  void clear() { size_ = 0; }
  std::span<const std::byte> content() const { return {bytes_.get(), size_}; }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace cbuild::oci::layer
