// SPDX-License-Identifier: Apache-2.0
// The choice of gc: which items, in which order, how many. How they are taken is in gc_take.cc.
#include "cache/gc/gc.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/database/schema.h"
#include "cache/gc/gc_items.h"
#include "cache/gc/gc_state.h"
#include "cache/gc/gc_take.h"
#include "cache/reserve.h"

namespace cbuild::cache {

namespace {

using Item = Usage::Item;

constexpr std::int64_t kHour = 3'600'000'000'000;
constexpr std::uint64_t kGigabyte = 1'000'000'000, kMegabyte = 1'000'000;
/// A gc that found nothing to take would find nothing again a moment later.
constexpr std::int64_t kRest = 60'000'000'000;

bool wants(const PruneOptions& options, std::string_view kind) {
  return options.kinds.empty() || std::find(options.kinds.begin(), options.kinds.end(), kind) != options.kinds.end();
}

struct Disk {
  std::uint64_t size = 0, free = 0;
};

Disk disk_of(Store& store) {
  struct statvfs st;
  if (::fstatvfs(store.root_fd(), &st) != 0) throw_errno(errno, "statvfs " + store.root());
  return {st.f_blocks * st.f_frsize, st.f_bavail * st.f_frsize};
}

/// How many bytes may stay; nullopt if there is no limit: then everything goes that may.
std::optional<std::uint64_t> allowance(Store& store, const PruneOptions& options, std::uint64_t total) {
  if (!options.max_used_bytes && !options.min_free_bytes && !options.reserved_bytes) return std::nullopt;
  std::uint64_t keep = options.max_used_bytes.value_or(options.min_free_bytes ? UINT64_MAX : 0);
  const std::uint64_t free = disk_of(store).free, wanted = options.min_free_bytes.value_or(0);
  if (free < wanted) keep = std::min(keep, total > wanted - free ? total - (wanted - free) : 0);
  return std::max(keep, options.reserved_bytes.value_or(0));
}

/// Chooses victims: least recently used first, a layer only when nothing stands on it any more.
class Chooser {
 public:
  Chooser(GcState& state, const Kept& kept, const PruneOptions& options, std::uint64_t total,
          std::optional<std::uint64_t> keep)
      : state_(state), kept_(kept), options_(options), total_(total), keep_(keep) {}

  std::vector<Item> choose(const std::vector<Item>& items) {
    for (const Item& item : items) offer(item);
    while (!ready_.empty() && (!keep_ || total_ > *keep_)) {
      Item item = ready_.begin()->second;
      ready_.erase(ready_.begin());
      item.why = why(item);
      total_ -= std::min(total_, item.bytes);
      if (item.kind == "layer") release(item);
      chosen_.push_back(item);
    }
    return std::move(chosen_);
  }

 private:
  bool may_go(const Item& item) const { return !item.shared || options_.all || (options_.fetchable && item.fetchable); }

  /// Whether the options ask for items that a prune without options leaves.
  bool is_meant(const Item& item) const {
    return !options_.kinds.empty() || options_.unused_for_ns || (keep_ && item.kind == "log");
  }

  std::string why(const Item& item) const {
    std::string text = item.shared ? "a registry has it" : "no named image needs it";
    if (item.shared && options_.all) text = "asked for, named images included";
    if (item.is_mutable()) text = "no live build uses it";
    if (options_.unused_for_ns) text += cat(", unused since ", format_rfc3339(item.last_used_ns / 1'000'000'000));
    if (keep_) text += cat(", the store holds ", format_size(total_), " of ", format_size(*keep_), " allowed");
    return text;
  }

  void offer(const Item& item) {
    if (item.in_use || !may_go(item) || !wants(options_, item.kind)) return;
    if (item.kept_apart && !is_meant(item)) return;
    if (options_.wanted && !options_.wanted(item)) return;
    if (options_.unused_for_ns && item.last_used_ns > sys::now_ns() - *options_.unused_for_ns) return;
    if (item.kind == "layer") {
      const Digest id = *Digest::from_hex(item.id);
      if (kept_.layers.contains(id) || has_children(id)) {
        blocked_.emplace(id, item);
        return;
      }
    }
    // The blobs of a layer go with it, unless they were asked for by name.
    if (item.kind == "blob" && options_.kinds.empty() && belongs_to_tree(*Digest::from_hex(item.id))) return;
    ready_.emplace(item.last_used_ns, item);
  }

  bool has_children(const Digest& layer) const {
    const auto& chains = state_.layers.at(layer).chains;
    return std::any_of(chains.begin(), chains.end(),
                       [&](const Digest& id) { return state_.chains.at(id).children > 0; });
  }

  bool belongs_to_tree(const Digest& blob) const {
    const auto found = state_.blobs.find(blob);
    return found != state_.blobs.end() && !found->second.layers.empty();
  }

  /// The layer below a victim may be the next one.
  void release(const Item& item) {
    for (const Digest& chain : state_.layers.at(*Digest::from_hex(item.id)).chains) {
      const auto parent = state_.chains.find(state_.chains.at(chain).parent);
      if (parent == state_.chains.end()) continue;
      --parent->second.children;
      const auto waiting = blocked_.find(parent->second.layer);
      if (waiting == blocked_.end() || kept_.layers.contains(waiting->first) || has_children(waiting->first)) continue;
      ready_.emplace(waiting->second.last_used_ns, waiting->second);
      blocked_.erase(waiting);
    }
  }

  GcState& state_;
  const Kept& kept_;
  const PruneOptions& options_;
  std::uint64_t total_;
  std::optional<std::uint64_t> keep_;
  std::multimap<std::int64_t, Item> ready_;
  std::map<Digest, Item> blocked_;
  std::vector<Item> chosen_;
};

}  // namespace

std::vector<Item> prune(Store& store, const PruneOptions& options) {
  Store::Impl& impl = store.impl();
  // A build that could not write its pins on a full disk keeps gc out altogether; it may be this very
  // process.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto lock = options.wait ? FileLock::wait(impl.dir(Dir::locks), "gc", FileLock::Mode::exclusive,
                                                  [&] { return std::chrono::steady_clock::now() > deadline; })
                                 : FileLock::try_lock(impl.dir(Dir::locks), "gc", FileLock::Mode::exclusive);
  if (!lock) {
    if (options.wait)
      impl.notes.emplace_back("store: another gc, or a build on a full disk, is at work: nothing is removed");
    return {};
  }
  ::utimensat(impl.dir(Dir::locks), "gc", nullptr, 0);  // when gc last ran
  clean_up_leftovers(store);
  const LiveLeases leases = read_leases(store.root_fd(), impl.index.generation());
  if (leases.foreign_index) {
    impl.notes.emplace_back("store: a build that works with another index is running: nothing is removed");
    return {};
  }
  GcState state = read_state(impl);
  unless_full([&] { clean_up_orphans(impl); });
  const Kept kept = kept_by(leases, state);
  const std::vector<Item> items = list_items(store, state, kept);
  std::uint64_t total = 0;
  for (const Item& item : items) total += item.bytes;
  const auto victims = Chooser(state, kept, options, total, allowance(store, options, total)).choose(items);
  if (victims.empty() || options.dry_run) return victims;
  return take(store, state, victims, options);
}

std::vector<Item> collect_if_due(Store& store) {
  std::vector<Item> removed;
  if (!gc_is_due(store)) return removed;
  for (PruneOptions limits : default_limits(store)) {
    limits.wait = false;
    for (Item& item : prune(store, limits)) removed.push_back(std::move(item));
  }
  return removed;
}

bool gc_is_due(Store& store) {
  Store::Impl& impl = store.impl();
  const auto last = sys::try_stat_at(impl.dir(Dir::locks), "gc");
  const std::int64_t age = last ? sys::now_ns() - std::int64_t{last->st_mtim.tv_sec} * 1'000'000'000 : INT64_MAX;
  if (age >= 0 && age < kRest) return false;
  const PruneOptions limits = default_limits(store)[2];
  if (disk_of(store).free < *limits.min_free_bytes || age > 24 * kHour) return true;
  return impl.index.read([&](Database& db) {
    Query query = db.query(
        "SELECT (SELECT total(disk_bytes) FROM layers) + (SELECT total(size) FROM blobs) + (SELECT total(bytes) FROM "
        "logs)");
    return query.next() && static_cast<std::uint64_t>(query.integer(0)) > *limits.max_used_bytes;
  });
}

std::vector<PruneOptions> default_limits(Store& store) {
  const Disk disk = disk_of(store);
  PruneOptions throw_away, old, unshared;
  throw_away.kinds = {"cachemount", "scan"};
  throw_away.unused_for_ns = 48 * kHour;
  throw_away.max_used_bytes = 512 * kMegabyte;
  old.unused_for_ns = 60 * 24 * kHour;
  unshared.max_used_bytes = std::min(disk.size / 5 * 4, 100 * kGigabyte);
  unshared.min_free_bytes = disk.size / 5;
  unshared.reserved_bytes = std::min(disk.size / 10, 10 * kGigabyte);
  PruneOptions fetchable = unshared;
  fetchable.fetchable = true;
  return {throw_away, old, unshared, fetchable};
}

}  // namespace cbuild::cache
