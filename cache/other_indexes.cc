// SPDX-License-Identifier: Apache-2.0
#include "cache/other_indexes.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cache {

namespace {

constexpr std::string_view kBroken = ".db.broken-";
constexpr std::string_view kShared = "-shm";
constexpr std::string_view kFiles[] = {"", "-wal", kShared};

/// "index.db", "index-v3.db", "index.db.broken-1700000000", but not their logs.
bool is_index(const std::string& name) {
  if (!name.starts_with("index.db") && !name.starts_with("index-v")) return false;
  if (name.find(kBroken) != std::string::npos) return !name.ends_with("-wal") && !name.ends_with("-shm");
  return name.ends_with(".db");
}

OtherIndex describe(int root, const std::string& name) {
  OtherIndex index;
  index.name = name;
  index.broken = name.find(kBroken) != std::string::npos;
  for (const std::string_view suffix : kFiles) {
    const auto st = sys::try_stat_at(root, cat(name, suffix));
    if (!st) continue;
    index.bytes += static_cast<std::uint64_t>(st->st_blocks) * 512;
    if (suffix == kShared) continue;  // reading writes to it
    index.last_used_ns =
        std::max(index.last_used_ns, std::int64_t{st->st_mtim.tv_sec} * 1'000'000'000 + st->st_mtim.tv_nsec);
  }
  return index;
}

}  // namespace

std::vector<OtherIndex> other_indexes(Store::Impl& store) {
  std::vector<OtherIndex> out;
  const std::string ours = store.index.name();
  for (const std::string& name : sys::list_dir(store.root_fd.get()))
    if (is_index(name) && name != ours) out.push_back(describe(store.root_fd.get(), name));
  return out;
}

bool remove_other_index(Store::Impl& store, const std::string& name) {
  if (!is_index(name) || name == store.index.name()) return false;
  const auto lock = FileLock::wait(store.root_fd.get(), "locks/index", FileLock::Mode::exclusive);
  for (const std::string_view suffix : kFiles) sys::remove_all_at(store.root_fd.get(), cat(name, suffix));
  return true;
}

OtherClaims::OtherClaims(Store::Impl& store) {
  for (const OtherIndex& other : other_indexes(store)) {
    if (other.broken) continue;
    try {
      indexes_.push_back(std::make_unique<Database>(cat(store.root, "/", other.name), false));
    } catch (const Error&) {
      unreadable_ = true;
    }
  }
}

template <typename Key>
bool OtherClaims::claims(std::string_view sql, const Key& key) {
  return unreadable_ || std::any_of(indexes_.begin(), indexes_.end(), [&](const auto& index) {
           try {
             return index->query(sql, key).next();
           } catch (const Error&) {
             return true;
           }
         });
}

template bool OtherClaims::claims(std::string_view, const Digest&);
template bool OtherClaims::claims(std::string_view, const std::string_view&);

}  // namespace cbuild::cache
