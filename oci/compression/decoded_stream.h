// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/digest.h"
#include "oci/compression/source_reader.h"

namespace cbuild::oci::layer {

/// The uncompressed bytes of a source, with their digest. Small streams are decoded by the caller; from the second
/// chunk on a thread decodes ahead (its own one: the source may be a socket, and a TBB worker must not wait for the
/// network), and the digest is made by whichever side would otherwise wait. Used by one thread.
class DecodedStream {
 public:
  /// More than `max_bytes` uncompressed bytes throw Error{corrupt}. `source` outlives the stream.
  DecodedStream(SourceReader& source, std::uint64_t max_bytes);
  ~DecodedStream();
  DecodedStream(const DecodedStream&) = delete;
  DecodedStream& operator=(const DecodedStream&) = delete;

  /// The next bytes, valid until the next call; empty at the end. Throws errors of the source and the decoder.
  std::span<const std::byte> next();
  /// Keeps bytes that next() gave for as long as the result lives. Null if they are not among those that it gave last.
  /// The stream holds a few chunks only and waits for those that are kept.
  std::shared_ptr<const void> keep(std::span<const std::byte> bytes);
  struct Digests {
    Digest source;   ///< of all bytes of the source, where it is digested
    Digest decoded;  ///< of all uncompressed bytes
  };
  /// Reads the rest of the stream and of the source. Once.
  Digests finish();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace cbuild::oci::layer
