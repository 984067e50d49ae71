// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/blob_writer.h"
#include "base/digest.h"
#include "base/fd.h"
#include "oci/descriptor.h"

namespace cbuild::oci {

using cbuild::BlobWriter;

/// Content-addressed blobs. Thread-safe.
class BlobStore {
 public:
  virtual ~BlobStore() = default;
  /// Size of a blob, nullopt if it is not here.
  virtual std::optional<std::uint64_t> size(const Digest& digest) = 0;
  /// Opened for reading; Error{not_found} if it is not here, {missing_content} if it was here and is gone.
  /// Content is not verified on open.
  virtual UniqueFd open(const Digest& digest) = 0;
  virtual std::unique_ptr<BlobWriter> create() = 0;
};

/// Reads a whole small blob and verifies its digest. Throws Error{corrupt} or {not_found}.
std::string read_blob(BlobStore& store, const Digest& digest, std::size_t limit = 8u << 20);
/// Writes `data` unless it is there whole; returns a descriptor for it.
Descriptor put_blob(BlobStore& store, std::string_view data, std::string media_type);
/// Copies a blob of any size and verifies it on the way. Throws Error{corrupt} or {not_found}.
void copy_blob(BlobStore& from, BlobStore& to, const Descriptor& blob);
/// The same from a file, whichever digest `blob` has. Returns the digest it is stored under.
Digest copy_file(int from, BlobStore& to, const Descriptor& blob);

/// For BlobWriter::commit(): Error{corrupt} unless what was written is what was promised; an empty digest and no size
/// promise nothing.
void check_written(const Digest& digest, std::uint64_t size, const Digest& expected,
                   std::optional<std::uint64_t> expected_size);

}  // namespace cbuild::oci
