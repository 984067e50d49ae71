// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "oci/layer/tar_writer.h"

namespace cbuild::oci::layer {

/// One member as read: TarEntry and the fields that only readers meet.
struct TarMember {
  TarEntry entry;             ///< `name` and `link_target` as they stand in the archive, bytes unchanged
  std::int64_t mtime_ns = 0;  ///< nanoseconds within the second
  bool has_data = false;
};

/// Reads a tar stream (ustar, pax, GNU, v7; sparse members) with libarchive, and no other format. Names come out as the
/// bytes that are in the archive, whatever the locale. Throws Error{corrupt} for bytes that are not a tar.
class TarReader {
 public:
  /// Gives the next bytes of the stream, valid until its next call; empty at the end. May throw.
  using Pull = std::function<std::span<const std::byte>()>;

  /// Keeps bytes that Pull gave last beyond its next call; null for others.
  using Keep = std::function<std::shared_ptr<const void>(std::span<const std::byte>)>;

  explicit TarReader(Pull pull, Keep keep = nullptr);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  /// The next member; false at the end of the archive.
  bool next(TarMember& member);
  /// A piece of the current member's content and where in the file it belongs, behind the piece before it and within
  /// the member's size; gaps are holes. False when there is no more.
  bool data(std::span<const std::byte>& bytes, std::uint64_t& offset);
  /// Keeps a piece that data() gave for as long as the result lives; null if it has to be copied.
  std::shared_ptr<const void> keep(std::span<const std::byte> piece);
  /// Where in the stream the piece that data() gave last begins.
  std::uint64_t position() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::oci::layer
