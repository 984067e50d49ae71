// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "cache/content/layer_tree.h"
#include "cache/kept_table.h"
#include "cache/store.h"
#include "oci/compression/byte_source.h"

namespace cbuild::cache {

/// Fetches the blob of a lazy layer (from a registry, a layout) into the store's blobs, through `into`, which are those
/// or pass it on to them: a reader may follow. Seam, given by the wiring.
using BlobFetcher = std::function<void(const Layer& layer, oci::BlobStore& into)>;
using BlobProgress = std::function<void(const Layer& layer, std::uint64_t bytes, std::uint64_t total)>;

/// A layer that is read by a table of contents of its own and file by file, without its blob. Thread-safe.
class PartialLayer {
 public:
  virtual ~PartialLayer() = default;
  virtual const SharedTable& table() const = 0;
  /// A tree of these files of the table and no others: content, as the table says it, and xattrs. nullptr if all of the
  /// layer has to be brought for them.
  virtual std::shared_ptr<const LayerTree> bring(const std::vector<std::string>& paths) = 0;
};

/// How blobs of layers are come by. Empty: what is not in the store cannot be fetched.
struct BlobAccess {
  BlobFetcher fetch = nullptr;
  const CancelSource* cancel = nullptr;
  BlobProgress progress = nullptr;
  /// Brings the table of a layer that has none here, from where somebody has made it; false if nobody has.
  std::function<bool(const Layer& layer)> fetch_table = nullptr;
  /// Says whether a layer is read by parts. `is_here`: all of it is in the store. The answer for a layer is always the
  /// same, whatever is here by then: keys that were made of its table are not to be met with what a tree holds.
  std::function<std::shared_ptr<PartialLayer>(const Layer& layer, bool is_here)> read_parts = nullptr;
};

/// Calls `use` for a layer, unless `is_done` says that there is nothing left to do, under a lock so that other
/// processes wait instead of repeating it. `use` fetches the blob if it is not here, reads all of it, verifies it and
/// what the layer says of it, and throws Error{corrupt} where that is wrong. A damaged blob is dropped, and `use`
/// called once more; a manifest that is wrong about a blob is forgotten with everything on top of it; a layer that no
/// remote cache can give any more is Error{missing_content}.
void use_layer_blob(Store& store, const Digest& layer, const BlobAccess& access,
                    const std::function<bool(const Layer&)>& is_done, const std::function<void(const Layer&)>& use);

/// Reads all of a blob. `expected`: what is left to verify.
using ReadBlob = std::function<void(oci::layer::ByteSource source, const oci::Descriptor& expected)>;

/// Fetches the blob of a layer into the store, and has `read` read it while it comes. False if it has to be read from
/// the store after all: the transfer began again in the middle, or there was no thread. If the fetch fails, its failure
/// is thrown, not that of `read`, which saw its source end; else that of `read`, and the blob is in the store. What
/// `read` makes counts if true is returned.
bool fetch_and_read(Store& store, const Layer& layer, const BlobAccess& access, const ReadBlob& read);

}  // namespace cbuild::cache
