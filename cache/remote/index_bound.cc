// SPDX-License-Identifier: Apache-2.0
// Chooses the part of an index that stays within a bound. A record needs the blobs of its whole chain, which others may
// need, too, so each blob is counted with the first record that takes it. A chain on top of one that does not fit does
// not fit either; with that mark no part of a chain is walked twice, however an index was made.
#include "cache/remote/index_bound.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>

namespace cbuild::cache {
namespace {

class Share {
 public:
  Share(const RemoteIndex& own, const RemoteIndex& other, const IndexBound& bound)
      : other_(other), bound_(bound), fits_(other.chains.size(), Mark::open) {
    for (const auto& layer : own.layers) count(blobs_of(layer));
    for (const auto& mount : own.mounts) count({&mount.blob});
    for (const auto& record : own.records) known_.insert(record.keys.begin(), record.keys.end());
  }

  std::uint64_t bytes() const { return bytes_; }

  IndexShare choose() {
    IndexShare out{std::vector<bool>(other_.records.size()), std::vector<bool>(other_.mounts.size())};
    for (const std::size_t place : by_use()) {
      const auto& record = other_.records[place];
      if (record.used_day < bound_.since_day) continue;
      const auto is_known = [this](const Digest& key) { return known_.contains(key); };
      out.records[place] =
          std::all_of(record.keys.begin(), record.keys.end(), is_known) || record.chain < 0 || take(record.chain);
    }
    for (std::size_t i = 0; i < other_.mounts.size(); ++i)
      if (bytes_ + new_bytes({&other_.mounts[i].blob}) <= bound_.max_bytes) {
        count({&other_.mounts[i].blob});
        out.mounts[i] = true;
      }
    return out;
  }

 private:
  enum class Mark { open, fits, too_large };
  using Blobs = std::vector<const oci::Descriptor*>;

  /// Those that lie in the cache.
  static Blobs blobs_of(const RemoteIndex::LayerEntry& layer) {
    Blobs out;
    if (layer.origin.empty() && !layer.blob.digest.empty()) out.push_back(&layer.blob);
    if (!layer.table.digest.empty()) out.push_back(&layer.table);
    return out;
  }

  std::uint64_t new_bytes(const Blobs& blobs) const {
    std::uint64_t sum = 0;
    for (const oci::Descriptor* blob : blobs)
      if (!counted_.contains(blob->digest)) sum += blob->size;
    return sum;
  }

  void count(const Blobs& blobs) {
    for (const oci::Descriptor* blob : blobs)
      if (counted_.insert(blob->digest).second) bytes_ += blob->size;
  }

  /// Places of the records, used last first; of one day, made last first.
  std::vector<std::size_t> by_use() const {
    std::vector<std::size_t> out(other_.records.size());
    std::iota(out.begin(), out.end(), std::size_t{0});
    const auto rank = [this](std::size_t i) {
      return std::tuple(-other_.records[i].used_day, -other_.records[i].created_ns, i);
    };
    std::sort(out.begin(), out.end(), [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
    return out;
  }

  bool take(std::int64_t top) {
    std::vector<std::size_t> open;  // from the top down
    std::int64_t at = top;
    while (at >= 0 && fits_[static_cast<std::size_t>(at)] == Mark::open) {
      open.push_back(static_cast<std::size_t>(at));
      at = other_.chains[open.back()].parent;
    }
    bool fits = at < 0 || fits_[static_cast<std::size_t>(at)] == Mark::fits;
    std::uint64_t more = 0;
    std::set<Digest> once;
    for (std::size_t i = open.size(); i-- > 0;) {
      if (fits)
        for (const oci::Descriptor* blob : blobs_of(other_.layers[other_.chains[open[i]].layer]))
          if (once.insert(blob->digest).second) more += new_bytes({blob});
      fits = fits && bytes_ + more <= bound_.max_bytes;
      if (!fits) fits_[open[i]] = Mark::too_large;
    }
    if (!fits) return false;
    for (const std::size_t chain : open) {
      fits_[chain] = Mark::fits;
      count(blobs_of(other_.layers[other_.chains[chain].layer]));
    }
    return true;
  }

  const RemoteIndex& other_;
  const IndexBound& bound_;
  std::vector<Mark> fits_;  ///< by chain
  std::set<Digest> counted_, known_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

std::uint64_t bytes_of(const RemoteIndex& index) { return Share(index, {}, {}).bytes(); }

IndexShare fitting_share(const RemoteIndex& own, const RemoteIndex& other, const IndexBound& bound) {
  return Share(own, other, bound).choose();
}

}  // namespace cbuild::cache
