// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/digest.h"
#include "oci/reference.h"

namespace cbuild::oci::registry {

class Transport;

/// The upload of a blob that is still being written, whose digest is known only at its end (distribution-spec,
/// "Pushing a blob in chunks"). Never the only way: where the registry does not take a blob like this, or a fault
/// cannot be repaired, false says that the blob has to be pushed whole. One thread at a time.
class StreamedUpload {
 public:
  /// Opens an upload. Throws Error if the registry does not.
  StreamedUpload(Transport& transport, Reference repository);
  /// Cancels the upload at the registry unless it was finished.
  ~StreamedUpload();
  StreamedUpload(const StreamedUpload&) = delete;
  StreamedUpload& operator=(const StreamedUpload&) = delete;

  /// So many bytes of the blob have arrived.
  std::uint64_t sent() const;
  /// send() wants so many more, unless they are the last ones.
  std::uint64_t least() const;
  /// Whether the registry has refused chunks, so that it will refuse those of other blobs too.
  bool was_refused() const;
  /// Sends the bytes of the blob in `file` from sent() up to `end`, in one chunk, repeated from where the registry says
  /// that it stands. `on_sent` is told how much of the blob is on its way. Throws Error{cancelled} only.
  bool send(int file, std::uint64_t end, const std::function<void(std::uint64_t sent)>& on_sent = nullptr);
  /// Gives the blob its name, after all of it was sent. Throws Error{cancelled} only.
  bool finish(const Digest& digest);
  /// Leaves the upload without a word; a registry drops it by itself some day.
  void leave() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::oci::registry
