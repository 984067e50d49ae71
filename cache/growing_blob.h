// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

#include "base/cancel.h"
#include "base/fd.h"
#include "cache/store.h"

namespace cbuild::cache {

/// The store's blobs, of which one is read while it is being written. Whoever fetches uses it as a BlobStore, and
/// another thread reads. The reader sees the bytes as they come, before anybody has verified them.
class GrowingBlob final : public oci::BlobStore {
 public:
  /// Writing fails when `cancel` says so; it may be null. Both are borrowed.
  GrowingBlob(Store& store, const CancelSource* cancel) : store_(store), cancel_(cancel) {}
  ~GrowingBlob() override;

  std::optional<std::uint64_t> size(const Digest& digest) override { return store_.blobs().size(digest); }
  UniqueFd open(const Digest& digest) override { return store_.blobs().open(digest); }
  /// The reader gets what is written to the first one. With a second one the transfer begins again, and what was read
  /// may be of another blob: the reader fails.
  std::unique_ptr<oci::BlobWriter> create() override;
  /// To be called when nothing more comes.
  void end() noexcept;

  /// Fills the beginning of `room` and says how much. Waits until there is something; 0 when the blob was committed and
  /// all of it was read. Throws Error{network} where it will never be.
  std::size_t read(std::span<std::byte> room);
  struct State {
    std::uint64_t written = 0;
    bool ended = false;  ///< nothing more comes
    Digest digest;       ///< of a blob that is whole
  };
  /// Waits until the blob has at least `wanted` bytes or has ended. For readers that use file() instead of read().
  State wait_for(std::uint64_t wanted) const;
  /// The bytes that were written; -1 before there are any.
  int file() const;
  /// After end(): whether the reader was given the blob, from its first byte on, that was committed.
  bool was_whole() const;

 private:
  class Writer;
  bool is_broken() const { return begun_ != 1 || (ended_ && !committed_); }

  Store& store_;
  const CancelSource* cancel_;
  UniqueFd file_;             ///< set before `begun_` is 1, and not changed
  std::uint64_t read_ = 0;    ///< of the reader
  mutable std::mutex mutex_;  ///< guards what follows
  mutable std::condition_variable changed_;
  std::uint64_t written_ = 0;
  unsigned begun_ = 0;
  bool committed_ = false, ended_ = false;
  Digest digest_;  ///< once it is committed
};

}  // namespace cbuild::cache
