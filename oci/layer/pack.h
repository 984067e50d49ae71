// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/digest.h"
#include "oci/blob_store.h"
#include "oci/compression/compression.h"
#include "oci/layer/planned_entry.h"
#include "oci/layer/tar_writer.h"

namespace cbuild::oci::layer {

struct PackOptions {
  Compression compression = Compression::gzip;
  int level = 0;
  std::optional<std::int64_t> clamp_mtime_s;  ///< times after this are lowered to it (SOURCE_DATE_EPOCH)
  const CancelSource* cancel = nullptr;
};

/// The result of packing a layer.
struct PackedLayer {
  Digest diff_id;         ///< of the uncompressed tar; of estargz with the table behind it
  Descriptor descriptor;  ///< of the blob as stored
  std::uint64_t uncompressed_size = 0;
};

struct StargzBlob;
/// Fills in all but the blob's digest and size.
void complete_stargz(PackedLayer& layer, const StargzBlob& blob);

/// Tars the changes in an overlay upper directory: char 0:0 devices and opaque directories become whiteouts (layer.md,
/// "Whiteouts"), overlay's own xattrs are left out, redirect and metacopy are refused with Error{unsupported}. One
/// sorted walk, digest of the tar, compression and digest of the blob in one pass. The bytes depend only on the tree.
/// An empty tree gives the empty layer. Hard links inside the tree survive; sockets are left out; xattrs kept:
/// security.capability and user.* without overlay's. Throws Error with the path that could not be read.
PackedLayer pack_layer(int upper_dirfd, BlobStore& blobs, const PackOptions& options);

/// The same of a tree that is not on disk: the bytes are those that pack_layer() makes of it once it is written. Layers
/// that are only planned have no whiteouts.
PackedLayer pack_planned(PlannedEntries& entries, BlobStore& blobs, const PackOptions& options);

/// As pack_layer(), but plain tar of a tree without whiteout rules to `sink` (exporter "tar", tests).
void write_tree_tar(int dirfd, const ByteSink& sink, const PackOptions& options);

}  // namespace cbuild::oci::layer
