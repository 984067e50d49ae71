// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/cancel.h"
#include "cache/store.h"
#include "oci/layer/pack.h"

namespace cbuild::cache {

class GrowingBlob;

/// Reads blobs while they are packed. Called by threads of the packer.
class PackReader {
 public:
  virtual ~PackReader() = default;
  /// Where the blob of a layer is to be written, for a reader on another thread; null if nobody wants it.
  virtual std::shared_ptr<GrowingBlob> on_pack(const Digest& layer) = 0;
};

/// Packs layers into blobs in the background, while later steps run. A layer is packed once; other
/// processes wait for it.
class Packer {
 public:
  /// `reader` is borrowed and may be null.
  Packer(Store& store, oci::layer::PackOptions options, PackReader* reader = nullptr);
  ~Packer();  ///< cancels and waits

  /// Starts packing the layers of `chain` that have no blob of the wanted compression; returns at once.
  void start(const Digest& chain);
  /// Waits until all layers of `chain` are packed, packing on the calling thread too; their diff ids and blob
  /// descriptors, bottom first. Rethrows the first failure. Layers of base images that are lazy keep their own blob and
  /// need not be present.
  std::vector<Layer> finish(const Digest& chain);
  /// The same where all of them are packed already; else none.
  std::vector<Layer> packed(const Digest& chain);
  /// Packs a tree that is not on disk, on the calling thread, as start() would.
  oci::layer::PackedLayer pack(oci::layer::PlannedEntries& entries);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::cache
