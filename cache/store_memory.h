// SPDX-License-Identifier: Apache-2.0
// What this process remembers of the store, so that it need not be read again or can be written again. All of it is
// thread-safe, and none of it is held around a use of the index.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/digest.h"
#include "cache/content/layer_dir.h"
#include "cache/kept_table.h"
#include "cache/store.h"

namespace cbuild::cache {

/// Content that was promised and is not there: it is not asked for again.
class MissingLayers {
 public:
  /// An `origin` that is not empty is missing as a whole.
  void add(const Digest& layer, const std::string& origin);
  bool contains(const Digest& layer);
  bool contains_origin(const std::string& origin);
  /// A remote cache said that a base has this layer.
  void note_claim(const Digest& layer);
  bool is_claim(const Digest& layer);

 private:
  std::mutex mutex_;  // guards all below
  std::unordered_set<Digest> layers_, claims_;
  std::unordered_set<std::string> origins_;
};

/// Chains that this process has recorded, and the lists of layers of those used lately.
class KnownChains {
 public:
  void remember(const Chain& chain);
  std::optional<Chain> find(const Digest& chain);
  /// Bottom first; also of a chain one layer above a known list, as a long chain grows.
  std::optional<std::vector<Digest>> layers(const Digest& chain);
  void keep_layers(const Digest& chain, const std::vector<Digest>& layers);
  /// No list of layers counts any more.
  void forget_layers();

 private:
  void keep(const Digest& chain, const std::vector<Digest>& layers);

  std::mutex mutex_;  // guards all below
  std::unordered_map<Digest, Chain> seen_;
  std::unordered_map<Digest, std::vector<Digest>> layers_;
};

/// Open directories and read tables of layers, shared by all that look into them.
class OpenLayers {
 public:
  using Open = std::function<std::shared_ptr<const LayerDir>()>;

  std::shared_ptr<const LayerDir> dir(const Digest& layer, const Open& open);
  void drop_dir(const Digest& layer);
  /// By the claim of the layer, or the id of one that was copied here; nullptr if there is none.
  SharedTable table(const Digest& claim);
  void keep_table(const Digest& claim, SharedTable table);

 private:
  std::mutex mutex_;  // guards all below
  std::unordered_map<Digest, std::shared_ptr<const LayerDir>> dirs_;
  std::unordered_map<Digest, SharedTable> tables_;
};

}  // namespace cbuild::cache
