// SPDX-License-Identifier: Apache-2.0
// Eviction in three steps, so that no builder has to ask anybody: victims are doomed in one transaction; then
// the leases are read, and what a live build pinned is given back; then each victim is taken out in a
// transaction of its own, which looks once more whether it is still doomed, because a builder that makes the
// same thing anew takes the doom away. See lease.h for the other side.
#include "cache/gc.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/build_history.h"
#include "cache/gc_items.h"
#include "cache/gc_state.h"
#include "cache/schema.h"

namespace cbuild::cache {

namespace {

using Item = Usage::Item;

constexpr std::int64_t kHour = 3'600'000'000'000;
constexpr std::uint64_t kGigabyte = 1'000'000'000, kMegabyte = 1'000'000;
/// A gc that found nothing to take would find nothing again a moment later.
constexpr std::int64_t kRest = 60'000'000'000;
constexpr int kKeptTombstones = 10'000;

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

  std::string why(const Item& item) const {
    std::string text = item.shared ? "a registry has it" : "no named image needs it";
    if (item.shared && options_.all) text = "asked for with what images need";
    if (item.is_mutable()) text = "no live build uses it";
    if (options_.unused_for_ns) text += cat(", unused since ", format_rfc3339(item.last_used_ns / 1'000'000'000));
    if (keep_) text += cat(", the store holds ", format_size(total_), " of ", format_size(*keep_), " allowed");
    return text;
  }

  void offer(const Item& item) {
    if (item.in_use || !may_go(item) || !wants(options_, item.kind)) return;
    if (item.kind == "log" && options_.kinds.empty()) return;  // history has its own limits
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

  /// What a victim stood on may be the next.
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

void lift_doom(Database& db) {
  for (const char* table : {"layers", "chains", "blobs"})
    db.script(cat("UPDATE ", table, " SET doomed = 0 WHERE doomed <> 0").c_str());
}

/// Victims and their blobs; a chain is doomed with its top layer.
void doom(Store::Impl& store, const GcState& state, const std::vector<Item>& victims) {
  store.index.write([&](Database& db) {
    lift_doom(db);  // left by a gc that was killed
    for (const Item& item : victims) {
      if (item.kind == "layer") {
        const Digest id = *Digest::from_hex(item.id);
        db.run("UPDATE layers SET doomed = 1 WHERE id = ?", id);
        db.run("UPDATE chains SET doomed = 1 WHERE layer = ?", id);
        for (const Digest& blob : state.layers.at(id).blobs)
          db.run("UPDATE blobs SET doomed = 1 WHERE digest = ?", blob);
      } else if (item.kind == "blob") {
        db.run("UPDATE blobs SET doomed = 1 WHERE digest = ?", *Digest::from_hex(item.id));
      }
    }
  });
}

/// Takes victims out of the index and moves their files to tmp/, to be removed when no lock is held.
class Executioner {
 public:
  Executioner(Store& store, const GcState& state, const Kept& kept, const PruneOptions& options)
      : handle_(store),
        store_(store.impl()),
        state_(state),
        kept_(kept),
        all_(options.all),
        fetchable_(options.fetchable),
        blobs_by_name_(!options.kinds.empty() && wants(options, "blob")),
        name_(store_.temp_name()) {
    sys::mkdir_at(store_.dir(Dir::tmp), name_, 0700);
  }

  bool take(const Item& item) {
    if (item.kind == "layer") return take_layer(*Digest::from_hex(item.id));
    if (item.kind == "blob") return take_blob(*Digest::from_hex(item.id));
    if (item.kind == "cachemount") return take_mount(item.id);
    if (item.kind == "scan") return move_out(Dir::scans, item.id);
    if (item.kind == "log") return remove_builds(handle_, {item.id}), true;
    return false;
  }

  void finish() noexcept {
    try {
      sys::remove_all_at(store_.dir(Dir::tmp), name_);
    } catch (const Error&) {
      // Gone from the index already; the next sweep tries again.
    }
  }

 private:
  bool move_out(Dir from, const std::string& name) {
    const std::string to = cat(name_, '/', count_++);
    return ::renameat(store_.dir(from), name.c_str(), store_.dir(Dir::tmp), to.c_str()) == 0;
  }

  bool take_layer(const Digest& id) {
    if (kept_.layers.contains(id)) return false;
    const GcState::LayerInfo& layer = state_.layers.at(id);
    const bool taken = store_.index.write([&](Database& db) {
      const bool doomed = db.query("SELECT 1 FROM layers WHERE id = ? AND doomed = 1", id).next();
      const bool needed = db.query(
                                "SELECT 1 FROM chains c WHERE c.layer = ?1 AND (c.doomed = 0 OR EXISTS "
                                "(SELECT 1 FROM chains d"
                                " WHERE d.parent = c.id))",
                                id)
                              .next();
      if (!doomed || needed) return false;
      for (const Digest& chain : layer.chains) {
        db.run(
            "UPDATE chains SET last_used_ns = max(last_used_ns, ?) WHERE id = (SELECT parent FROM chains "
            "WHERE id = ?)",
            layer.last_used_ns, chain);
        move_out(Dir::flats, chain.hex());
      }
      delete_layer(db, id, sys::now_ns());
      move_out(Dir::snapshots, snapshot_name(id));
      return true;
    });
    if (!taken) return false;
    for (const Digest& blob : layer.blobs) take_blob(blob);
    return true;
  }

  bool take_blob(const Digest& digest) {
    const auto info = state_.blobs.find(digest);
    if (info == state_.blobs.end() || kept_.blobs.contains(digest) || !may_go(info->second)) return false;
    return store_.index.write([&](Database& db) {
      // Another layer with the same bytes may have come or stayed; it would have to be packed or fetched
      // again.
      const bool needed = db.query(
                                "SELECT 1 FROM layers WHERE blob = ?1 AND doomed = 0 UNION ALL SELECT 1 FROM "
                                "packs JOIN layers"
                                " ON layers.id = packs.layer WHERE packs.digest = ?1 AND layers.doomed = 0",
                                digest)
                              .next();
      if (needed && !blobs_by_name_) return false;
      if (db.run("DELETE FROM blobs WHERE digest = ? AND doomed = 1", digest) == 0) return false;
      move_out(Dir::blobs, digest.hex());
      return true;
    });
  }

  bool may_go(const GcState::BlobInfo& blob) const { return !blob.in_image || all_ || (fetchable_ && blob.fetchable); }

  bool take_mount(const std::string& name) {
    const auto lock = FileLock::try_lock(store_.dir(Dir::locks), "mount-" + name, FileLock::Mode::exclusive);
    if (!lock) return false;
    store_.index.write([&](Database& db) { db.run("DELETE FROM mounts WHERE dir = ?", name); });
    return move_out(Dir::mounts, name);
  }

  Store& handle_;
  Store::Impl& store_;
  const GcState& state_;
  const Kept& kept_;
  bool all_, fetchable_, blobs_by_name_;
  std::string name_;
  unsigned count_ = 0;
};

std::vector<Item> carry_out(Store& handle, const GcState& state, const std::vector<Item>& victims,
                            const PruneOptions& options) {
  Store::Impl& store = handle.impl();
  doom(store, state, victims);
  const LiveLeases leases = read_leases(store.root_fd.get(), store.index.generation());
  const Kept kept = kept_by(leases, state);
  std::vector<Item> removed;
  Executioner executioner(handle, state, kept, options);
  for (const Item& item : victims) {
    if (executioner.take(item)) removed.push_back(item);
  }
  const bool names_lost = store.index.write([&](Database& db) {
    lift_doom(db);
    db.run("DELETE FROM evictions WHERE key NOT IN (SELECT key FROM evictions ORDER BY at_ns DESC LIMIT ?)",
           kKeptTombstones);
    return options.all && db.run("DELETE FROM images WHERE manifest NOT IN (SELECT digest FROM blobs)") > 0;
  });
  if (names_lost) write_layout(store);
  executioner.finish();
  return removed;
}

}  // namespace

std::vector<Item> prune(Store& store, const PruneOptions& options) {
  Store::Impl& impl = store.impl();
  // A build that could not write its pins on a full disk keeps gc out altogether; it may be this very
  // process.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto lock = options.wait ? FileLock::wait(impl.dir(Dir::locks), "gc", FileLock::Mode::exclusive,
                                                  [&] { return std::chrono::steady_clock::now() > deadline; })
                                 : FileLock::try_lock(impl.dir(Dir::locks), "gc", FileLock::Mode::exclusive);
  if (!lock) return {};
  ::utimensat(impl.dir(Dir::locks), "gc", nullptr, 0);  // when gc last ran
  sweep_leftovers(store);
  const LiveLeases leases = read_leases(store.root_fd(), impl.index.generation());
  if (leases.foreign_index) return {};
  sweep_orphans(impl);
  GcState state = read_state(impl);
  const Kept kept = kept_by(leases, state);
  const std::vector<Item> items = list_items(impl, state, kept);
  std::uint64_t total = 0;
  for (const Item& item : items) total += item.bytes;
  const auto victims = Chooser(state, kept, options, total, allowance(store, options, total)).choose(items);
  if (victims.empty() || options.dry_run) return victims;
  return carry_out(store, state, victims, options);
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
    Query query = db.query("SELECT (SELECT total(disk_bytes) FROM layers) + (SELECT total(size) FROM blobs)");
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
