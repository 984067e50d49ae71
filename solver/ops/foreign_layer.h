// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/layer_blob.h"

namespace cbuild::solver::ops {

/// Bytes of a layer's blob from where it lies, not verified; nullopt if they cannot be read in parts.
using ReadLayerRange =
    std::function<std::optional<std::string>(const cache::Layer& layer, std::uint64_t offset, std::uint64_t size)>;

/// The layers of a build that are read by their blobs' own tables of contents (oci/layer/foreign_table.h): for a few
/// files, their bytes are read and no others. Whether a layer is one of them is decided once a build. Thread-safe.
class ForeignLayers {
 public:
  /// `read` empty: there are none.
  ForeignLayers(cache::Store& store, ReadLayerRange read) : store_(store), read_(std::move(read)) {}

  /// As cache::BlobAccess::read_parts.
  std::shared_ptr<cache::PartialLayer> find(const cache::Layer& layer, bool is_here);
  /// Whether one of these is, or may turn out to be just now.
  bool any_of(const std::vector<Digest>& layers) const;
  /// Decides that none of these is; false if that is decided otherwise.
  bool leave_out(const std::vector<Digest>& layers);

 private:
  struct Entry {
    std::once_flag opened;
    std::shared_ptr<cache::PartialLayer> parts;
  };

  bool is_one(const Digest& layer) const;

  cache::Store& store_;
  const ReadLayerRange read_;
  mutable std::mutex mutex_;                                    // guards entries_
  std::unordered_map<Digest, std::shared_ptr<Entry>> entries_;  ///< by layer; null: read as all others
};

}  // namespace cbuild::solver::ops
