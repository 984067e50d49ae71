// SPDX-License-Identifier: Apache-2.0
#include "cache/store_memory.h"

#include <utility>

#include "base/process/process_limits.h"

namespace cbuild::cache {

namespace {

constexpr unsigned kMaxLayerDirs = 2048;
/// Of the descriptors that a layer may take while it is used, one is the directory that is remembered.
constexpr unsigned kFilesOfALayer = 4;
constexpr std::size_t kMaxChainLists = 256;
constexpr std::size_t kMostNodes = 200'000;  // of tables, some 40 MB

}  // namespace

void MissingLayers::add(const Digest& layer, const std::string& origin) {
  const std::scoped_lock lock(mutex_);
  layers_.insert(layer);
  if (!origin.empty()) origins_.insert(origin);
}

bool MissingLayers::contains(const Digest& layer) {
  const std::scoped_lock lock(mutex_);
  return layers_.contains(layer);
}

bool MissingLayers::contains_origin(const std::string& origin) {
  const std::scoped_lock lock(mutex_);
  return origins_.contains(origin);
}

void MissingLayers::note_claim(const Digest& layer) {
  const std::scoped_lock lock(mutex_);
  claims_.insert(layer);
}

bool MissingLayers::is_claim(const Digest& layer) {
  const std::scoped_lock lock(mutex_);
  return claims_.contains(layer);
}

void KnownChains::remember(const Chain& chain) {
  const std::scoped_lock lock(mutex_);
  seen_.emplace(chain.id, chain);
}

std::optional<Chain> KnownChains::find(const Digest& chain) {
  const std::scoped_lock lock(mutex_);
  const auto found = seen_.find(chain);
  return found == seen_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::vector<Digest>> KnownChains::layers(const Digest& chain) {
  const std::scoped_lock lock(mutex_);
  if (const auto known = layers_.find(chain); known != layers_.end()) return known->second;
  const auto seen = seen_.find(chain);
  if (seen == seen_.end()) return std::nullopt;
  const auto below = layers_.find(seen->second.parent);
  if (below == layers_.end()) return std::nullopt;
  std::vector<Digest> layers = below->second;
  layers.push_back(seen->second.layer);
  keep(chain, layers);
  return layers;
}

void KnownChains::keep_layers(const Digest& chain, const std::vector<Digest>& layers) {
  const std::scoped_lock lock(mutex_);
  keep(chain, layers);
}

/// With mutex_ held.
void KnownChains::keep(const Digest& chain, const std::vector<Digest>& layers) {
  if (layers_.size() >= kMaxChainLists) layers_.clear();
  layers_.emplace(chain, layers);
}

void KnownChains::forget_layers() {
  const std::scoped_lock lock(mutex_);
  layers_.clear();
}

std::shared_ptr<const LayerDir> OpenLayers::dir(const Digest& layer, const Open& open) {
  {
    const std::scoped_lock lock(mutex_);
    if (const auto known = dirs_.find(layer); known != dirs_.end()) return known->second;
  }
  std::shared_ptr<const LayerDir> made = open();
  const std::scoped_lock lock(mutex_);
  if (dirs_.size() >= jobs_within_open_files(kMaxLayerDirs, kFilesOfALayer))
    std::erase_if(dirs_, [](const auto& entry) { return entry.second.use_count() == 1; });
  return dirs_.emplace(layer, std::move(made)).first->second;
}

void OpenLayers::drop_dir(const Digest& layer) {
  const std::scoped_lock lock(mutex_);
  dirs_.erase(layer);
}

SharedTable OpenLayers::table(const Digest& claim) {
  const std::scoped_lock lock(mutex_);
  const auto known = tables_.find(claim);
  return known == tables_.end() ? nullptr : known->second;
}

void OpenLayers::keep_table(const Digest& claim, SharedTable table) {
  const std::scoped_lock lock(mutex_);
  std::size_t nodes = table->table.nodes.size();
  for (const auto& [id, other] : tables_) nodes += other->table.nodes.size();
  if (nodes > kMostNodes) std::erase_if(tables_, [](const auto& entry) { return entry.second.use_count() == 1; });
  tables_.insert_or_assign(claim, std::move(table));
}

}  // namespace cbuild::cache
