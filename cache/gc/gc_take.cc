// SPDX-License-Identifier: Apache-2.0
// Eviction in three steps, so that no builder has to ask anybody: victims are doomed in one transaction; then the
// leases are read, and items that a live build pinned are given back; then each victim is taken out in a transaction of
// its own, which looks once more whether it is still doomed, because a builder that makes the same object again takes
// the doom away. See lease.h for the other side.
//
// All that writes to the index, whose log grows by it. A disk that is full when it is pruned has the reserve for that
// (reserve.h), which is enough for a few victims; where it ends, the files of others are removed first.
#include "cache/gc/gc_take.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/build_history.h"
#include "cache/database/schema.h"
#include "cache/other_indexes.h"

namespace cbuild::cache {

namespace {

using Item = Usage::Item;

constexpr int kKeptTombstones = 10'000;
/// Free space that an index of any size needs to forget some victims.
constexpr std::uint64_t kWorkingSpace = 64u << 20;

void lift_doom(Database& db) {
  for (const char* table : {"layers", "chains", "blobs"})
    db.script(cat("UPDATE ", table, " SET doomed = 0 WHERE doomed <> 0").c_str());
}

/// Victims and their blobs; a chain is doomed with its top layer. Not a chain that was made since `state` was read:
/// whoever found it has pinned it, but the pin of a chain that `state` does not have keeps no layer (kept_by()).
void doom(Store::Impl& store, const GcState& state, const std::vector<Item>& victims) {
  store.index.write([&](Database& db) {
    lift_doom(db);  // left by a gc that was killed
    for (const Item& item : victims) {
      if (item.kind == "layer") {
        const Digest id = *Digest::from_hex(item.id);
        const GcState::LayerInfo& layer = state.layers.at(id);
        db.run("UPDATE layers SET doomed = 1 WHERE id = ?", id);
        for (const Digest& chain : layer.chains) db.run("UPDATE chains SET doomed = 1 WHERE id = ?", chain);
        for (const Digest& blob : layer.blobs) db.run("UPDATE blobs SET doomed = 1 WHERE digest = ?", blob);
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
        others_(store_),
        all_(options.all),
        fetchable_(options.fetchable),
        blobs_by_name_(std::count(options.kinds.begin(), options.kinds.end(), "blob") > 0),
        name_(store_.temp_name()) {
    sys::mkdir_at(store_.dir(Dir::tmp), name_, 0700);
  }

  Executioner(const Executioner&) = delete;
  Executioner& operator=(const Executioner&) = delete;
  ~Executioner() { finish(); }

  bool take(const Item& item) {
    if (item.kind == "layer") return take_layer(*Digest::from_hex(item.id));
    if (item.kind == "blob") return take_blob(*Digest::from_hex(item.id));
    if (item.kind == "cachemount") return take_mount(item.id);
    if (item.kind == "scan") return move_out(Dir::scans, item.id);
    if (item.kind == "log") return remove_build_logs(handle_, item.id);
    if (item.kind == "index") return remove_other_index(store_, item.id);
    return false;
  }

 private:
  void finish() noexcept {
    try {
      sys::remove_all_at(store_.dir(Dir::tmp), name_);
    } catch (const Error&) {
      // Gone from the index already; the next clean-up tries again.
    }
  }

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
        if (!others_.chain(chain)) move_out(Dir::flats, chain.hex());
      }
      delete_layer(db, id, sys::now_ns());
      if (!others_.layer(id)) move_out(Dir::snapshots, snapshot_name(id));
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
      if (!others_.blob(digest)) move_out(Dir::blobs, digest.hex());
      return true;
    });
  }

  bool may_go(const GcState::BlobInfo& blob) const { return !blob.in_image || all_ || (fetchable_ && blob.fetchable); }

  bool take_mount(const std::string& name) {
    const auto lock = FileLock::try_lock(store_.dir(Dir::locks), "mount-" + name, FileLock::Mode::exclusive);
    if (!lock) return false;
    store_.index.write([&](Database& db) { db.run("DELETE FROM mounts WHERE dir = ?", name); });
    return others_.mount(name) || move_out(Dir::mounts, name);
  }

  Store& handle_;
  Store::Impl& store_;
  const GcState& state_;
  const Kept& kept_;
  OtherClaims others_;
  bool all_, fetchable_, blobs_by_name_;
  std::string name_;
  unsigned count_ = 0;
};

/// Adds the items that are gone to `removed`.
void carry_out(Store& handle, const GcState& state, const std::vector<Item>& victims, const PruneOptions& options,
               std::vector<Item>& removed) {
  Store::Impl& store = handle.impl();
  doom(store, state, victims);
  const LiveLeases leases = read_leases(store.root_fd.get(), store.index.generation());
  const Kept kept = kept_by(leases, state);
  {
    Executioner executioner(handle, state, kept, options);
    for (const Item& item : victims) {
      if (executioner.take(item)) removed.push_back(item);
    }
  }  // its files are off the disk here, which is room for the rest
  const bool names_lost = store.index.write([&](Database& db) {
    lift_doom(db);
    db.run("DELETE FROM evictions WHERE key NOT IN (SELECT key FROM evictions ORDER BY at_ns DESC LIMIT ?)",
           kKeptTombstones);
    return options.all && db.run("DELETE FROM images WHERE manifest NOT IN (SELECT digest FROM blobs)") > 0;
  });
  if (names_lost) write_layout(store);
}

std::vector<Item> without(const std::vector<Item>& items, const std::vector<Item>& gone) {
  std::set<std::pair<std::string, std::string>> names;
  for (const Item& item : gone) names.emplace(item.kind, item.id);
  std::vector<Item> out;
  for (const Item& item : items)
    if (!names.contains({item.kind, item.id})) out.push_back(item);
  return out;
}

}  // namespace

std::vector<Item> take(Store& store, const GcState& state, const std::vector<Item>& victims,
                       const PruneOptions& options) {
  std::vector<Item> removed;
  for (std::vector<Item> left = victims;; left = without(victims, removed)) {
    try {
      carry_out(store, state, left, options, removed);
      return removed;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::no_space) throw;
      if (!remove_files(store, state, without(left, removed), options, kWorkingSpace)) throw;
    }
  }
}

}  // namespace cbuild::cache
