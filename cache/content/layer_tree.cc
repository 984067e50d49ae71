// SPDX-License-Identifier: Apache-2.0
#include "cache/content/layer_tree.h"

#include <algorithm>
#include <functional>

namespace cbuild::cache {

namespace {

constexpr std::size_t kScan = 8;  ///< a set this small is searched faster from the front

}  // namespace

NameSet::NameSet(const std::vector<std::string>& names) {
  hashes_.reserve(names.size());
  for (const std::string& name : names) hashes_.push_back(hash(name));
  std::sort(hashes_.begin(), hashes_.end());
}

std::uint64_t NameSet::hash(std::string_view name) { return std::hash<std::string_view>{}(name); }

bool NameSet::may_hold(std::uint64_t hash) const {
  if (hashes_.size() <= kScan) return std::find(hashes_.begin(), hashes_.end(), hash) != hashes_.end();
  return std::binary_search(hashes_.begin(), hashes_.end(), hash);
}

const NameSet& LayerTree::names(const std::string& path) const {
  if (!path.empty()) return read_names(path);
  if (const NameSet* known = root_names_.load(std::memory_order_acquire)) return *known;
  const NameSet& names = read_names(path);
  root_names_.store(&names, std::memory_order_release);
  return names;
}

const NameSet& LayerTree::read_names(const std::string& path) const {
  const std::scoped_lock lock(mutex_);
  auto& known = names_[path];
  if (!known) known = std::make_unique<const NameSet>(list_names(path));
  return *known;
}

}  // namespace cbuild::cache
