// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "cache/store_impl.h"

/// The indexes in a store that are not ours: of other versions of cbuild, and those that were put aside as broken.
namespace cbuild::cache {

struct OtherIndex {
  std::string name;
  bool broken = false;
  std::uint64_t bytes = 0;  ///< with its log
  std::int64_t last_used_ns = 0;
};
std::vector<OtherIndex> other_indexes(Store::Impl& store);
/// Removes one with its log. Files that only it knew are litter then.
bool remove_other_index(Store::Impl& store, const std::string& name);

/// The items that indexes of other versions have rows for; they are only read. If one cannot be read, everything counts
/// as claimed.
class OtherClaims {
 public:
  explicit OtherClaims(Store::Impl& store);
  bool layer(const Digest& id) { return claims("SELECT 1 FROM layers WHERE id = ?", id); }
  bool blob(const Digest& digest) { return claims("SELECT 1 FROM blobs WHERE digest = ?", digest); }
  bool chain(const Digest& id) { return claims("SELECT 1 FROM chains WHERE id = ?", id); }
  bool mount(std::string_view dir) { return claims("SELECT 1 FROM mounts WHERE dir = ?", dir); }
  bool build(std::string_view id) { return claims("SELECT 1 FROM builds WHERE id = ?", id); }

 private:
  template <typename Key>
  bool claims(std::string_view sql, const Key& key);

  std::vector<std::unique_ptr<Database>> indexes_;
  bool unreadable_ = false;
};

}  // namespace cbuild::cache
