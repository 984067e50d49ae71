// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "oci/compression/compression.h"
#include "oci/compression/task_group.h"

namespace cbuild::oci::layer {

/// A stream cut into fixed blocks that are filled by the caller, looked at in order by `tap`, compressed in parallel
/// and given to `sink` in order. A stream of one block is handled by the caller alone. Used by one thread; `tap` and
/// `sink` are each called by one thread at a time, not always the same one. Their errors come out of any member
/// function.
class BlockStream {
 public:
  /// `tap` sees the uncompressed bytes and may be null. `tasks` outlives the stream.
  BlockStream(TaskGroup& tasks, Compression compression, int level, ByteSink sink, ByteSink tap = nullptr);
  ~BlockStream();
  BlockStream(const BlockStream&) = delete;
  BlockStream& operator=(const BlockStream&) = delete;

  /// Where the next bytes go: the rest of the current block, never empty.
  std::span<std::byte> room();
  /// Declares the first `count` bytes of room() written.
  void advance(std::size_t count);
  void write(std::span<const std::byte> bytes);
  void write_zeros(std::uint64_t count);
  /// Ends the stream: afterwards tap and sink have seen everything. At most once.
  void finish();
  /// Uncompressed bytes so far.
  std::uint64_t size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::oci::layer
