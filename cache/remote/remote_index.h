// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/store.h"
#include "oci/descriptor.h"

namespace cbuild::cache {

/// Media type of the document below, the config of a remote cache's manifest.
inline constexpr std::string_view kRemoteIndexType = "application/vnd.cbuild.cache.index.v1+json";
/// Key of the document in the configuration of an image that carries its own cache.
inline constexpr char kInlineCacheKey[] = "cbuild.cache.v1";
/// A larger document is refused, and a larger table is not taken.
inline constexpr std::size_t kMaxRemoteIndex = 64u << 20;

/// The content of a remote cache; docs/cache-format.md is the contract. Parents and layers are given by their place,
/// and a chain's parent comes before it, so a document has no cycles.
struct RemoteIndex {
  struct LayerEntry {
    Digest diff_id;
    oci::Descriptor blob;  ///< empty digest in an inline document: the image's layer of that diff id
    std::string origin;    ///< "docker-image://..." of a base that holds the blob; empty: it lies next to this
    std::string description;
    std::int64_t created_ns = 0;
    oci::Descriptor table = {};  ///< of its encoded table of contents, next to this; empty digest: none
    bool operator==(const LayerEntry&) const = default;
  };
  struct ChainEntry {
    std::int64_t parent = -1;  ///< -1: on nothing
    std::size_t layer = 0;
    Digest identity;
    bool operator==(const ChainEntry&) const = default;
  };
  struct RecordEntry {
    std::vector<Digest> keys;  ///< content key, then definition keys
    std::int64_t chain = -1;   ///< -1: the empty root
    std::string step_name;
    std::int64_t created_ns = 0, duration_ns = 0;
    std::int64_t used_day = 0;  ///< days since 1970 on which it was last exported or found
    std::vector<KeyPart> parts;
    bool operator==(const RecordEntry&) const = default;
  };
  struct MountEntry {
    std::string id;   ///< as in RUN --mount=type=cache,id=
    std::string key;  ///< CacheMountInfo::key
    Digest diff_id;
    oci::Descriptor blob;
    bool operator==(const MountEntry&) const = default;
  };
  std::vector<LayerEntry> layers;
  std::vector<ChainEntry> chains;
  std::vector<RecordEntry> records;
  std::vector<MountEntry> mounts;

  bool operator==(const RemoteIndex&) const = default;
};

/// The same index gives the same bytes.
std::string to_json(const RemoteIndex& index);
/// Throws Error{corrupt} for anything that is not such a document; {unsupported} for a later version.
RemoteIndex parse_remote_index(std::string_view json);

/// How much of another index is taken over.
struct IndexBound {
  std::int64_t since_day = 0;                                           ///< RecordEntry::used_day, at least
  std::uint64_t max_bytes = std::numeric_limits<std::uint64_t>::max();  ///< of all blobs that lie in the cache
};

/// Puts an index together: layers and chains once each, records by their first key.
class RemoteIndexBuilder {
 public:
  /// Place of a layer; made if it is not there.
  std::size_t layer(const RemoteIndex::LayerEntry& entry);
  std::int64_t chain(std::int64_t parent, std::size_t layer, const Digest& identity);
  /// The first one with a key has it. A record with the same result under the same content key gets further definition
  /// keys; another result is kept under those definition keys alone that are not known yet.
  void record(RemoteIndex::RecordEntry entry);
  void mount(const RemoteIndex::MountEntry& entry);
  /// Takes over those records and mounts of another index that are new here and fit (cache/remote/index_bound.h).
  void merge(const RemoteIndex& other, const IndexBound& bound);

  const RemoteIndex& index() const { return index_; }
  RemoteIndex take() { return std::move(index_); }

 private:
  std::int64_t adopt_chain(const RemoteIndex& other, std::int64_t chain, std::vector<std::int64_t>& places);
  void add_keys(std::size_t record, const std::vector<Digest>& keys);

  RemoteIndex index_;
  std::map<Digest, std::size_t> layers_;   ///< by diff id, blob and the table it claims to hold
  std::map<Digest, std::size_t> records_;  ///< by any of their keys
  std::map<std::pair<std::int64_t, std::pair<std::size_t, Digest>>, std::int64_t> chains_;
};

}  // namespace cbuild::cache
