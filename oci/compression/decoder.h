// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "oci/compression/source_reader.h"

namespace cbuild::oci::layer {

enum class Encoding { plain, gzip, zstd, bzip2, xz };

/// By the magic number; plain for everything unknown.
Encoding detect_encoding(std::span<const std::byte> head);

/// Decompresses a source, whatever its encoding; several members or frames in a row are one stream, bytes behind the
/// last one are left in the source. Holds a window, never the whole.
class Decoder {
 public:
  explicit Decoder(SourceReader& source);
  ~Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;

  /// Fills `room`; less only at the end of the stream, 0 after it. Throws Error{corrupt} for broken or cut input.
  std::size_t read(std::span<std::byte> room);
  /// Whether the source is passed on as it is, to its last byte.
  bool is_plain() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::oci::layer
