// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cache/database/lease.h"
#include "cache/gc/gc.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

/// The state of the store as gc needs it, read at one moment.
struct GcState {
  struct ChainInfo {
    Digest parent, layer;
    std::int64_t last_used_ns = 0;
    std::uint32_t depth = 0, children = 0;
  };
  struct LayerInfo {
    std::string description;
    bool has_tree = false;
    bool fetchable = false;   ///< a registry has its blob
    std::uint64_t bytes = 0;  ///< of the tree
    std::int64_t created_ns = 0, last_used_ns = 0;
    std::vector<Digest> chains, blobs;
  };
  struct BlobInfo {
    std::uint64_t bytes = 0;
    std::int64_t created_ns = 0, last_used_ns = 0;
    std::set<Digest> layers;  ///< that are encoded by it
    bool in_image = false;    ///< a named image needs it
    bool fetchable = false;   ///< a registry has it
  };
  std::map<Digest, ChainInfo> chains;
  std::map<Digest, LayerInfo> layers;
  std::map<Digest, BlobInfo> blobs;

  bool in_image(const LayerInfo& layer) const;
};

/// Measures trees whose size is not known yet.
GcState read_state(Store::Impl& store);

/// The items that pins of live builds keep: pinned chains with their ancestors, all layers of those, and the layers'
/// blobs.
struct Kept {
  std::set<Digest> chains, layers, blobs;
};
Kept kept_by(const LiveLeases& leases, const GcState& state);

}  // namespace cbuild::cache
