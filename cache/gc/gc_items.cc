// SPDX-License-Identifier: Apache-2.0
// Lists what the store holds, for `du` and for the choice of gc, and removes files that no index knows. A file without
// a row may be one that another process is about to record: it is moved aside inside a write transaction, when no
// publisher can be halfway, and recent blobs and base layers stay for an index that starts fresh. Names in tmp/ begin
// with the lease of their owner and are removed when that lease is dead.
#include "cache/gc/gc_items.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/build_history.h"
#include "cache/gc/gc_take.h"
#include "cache/other_indexes.h"
#include "cache/reserve.h"
#include "cache/tree_blocks.h"

namespace cbuild::cache {

namespace {

using Item = Usage::Item;

constexpr std::int64_t kDay = 86'400'000'000'000;
constexpr std::int64_t kAdoptable = 7 * kDay;
constexpr std::int64_t kForeignLitter = 7 * kDay;

std::int64_t mtime_ns(const struct stat& st) {
  return std::int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec;
}

void list_mounts(Store::Impl& store, std::vector<Item>& out) {
  std::vector<Item> mounts;
  store.index.read([&](Database& db) {
    mounts.clear();
    Query query = db.query("SELECT dir, description, created_ns, last_used_ns FROM mounts");
    while (query.next()) {
      Item item;
      item.kind = "cachemount";
      item.id = query.text(0);
      item.description = query.text(1);
      item.created_ns = query.integer(2);
      item.last_used_ns = query.integer(3);
      mounts.push_back(std::move(item));
    }
  });
  for (Item& item : mounts) {
    item.bytes = tree_blocks(store.dir(Dir::mounts), item.id);
    // Where no file can be made for the lock, nobody has one.
    unless_full([&] {
      item.in_use = !FileLock::try_lock(store.dir(Dir::locks), "mount-" + item.id, FileLock::Mode::exclusive);
    });
    out.push_back(std::move(item));
  }
}

void list_files(int dir, const std::string& kind, bool in_use, std::vector<Item>& out) {
  for (const std::string& name : sys::list_dir(dir)) {
    const auto st = sys::try_stat_at(dir, name);
    if (!st) continue;
    Item item;
    item.kind = kind;
    item.id = item.description = name;
    item.bytes = tree_blocks(dir, name);
    item.created_ns = item.last_used_ns = mtime_ns(*st);
    item.in_use = in_use;
    out.push_back(std::move(item));
  }
}

/// Removes entries of a directory that are not in the index any more, decided while no publisher can be halfway.
void clean_up_directory(Store::Impl& store, Dir which, std::string_view sql,
                        const std::function<bool(const Digest&)>& keep) {
  const int dir = store.dir(which), tmp = store.dir(Dir::tmp);
  for (const std::string& name : sys::list_dir(dir)) {
    const auto id = Digest::from_hex(name);
    const auto claimed = [&](Database& db) { return id && db.query(sql, *id).next(); };
    if (store.index.read(claimed) || (id && keep(*id))) continue;
    const std::string aside = store.temp_name();
    const bool moved = store.index.write(
        [&](Database& db) { return !claimed(db) && ::renameat(dir, name.c_str(), tmp, aside.c_str()) == 0; });
    if (moved) sys::remove_all_at(tmp, aside);
  }
}

/// The lease a name in tmp/ begins with; empty if it is not of ours.
std::string owner_of(const std::string& name) {
  const std::size_t dot = name.find('.');
  const std::size_t dash = name.find('-');
  if (dot == std::string::npos || dash == std::string::npos || dash > dot) return {};
  if (!parse_int(name.substr(0, dash)) || dot - dash - 1 != 16) return {};
  return name.substr(0, dot);
}

std::string parent_layer(const GcState& state, const GcState::LayerInfo& layer) {
  if (layer.chains.size() != 1) return {};
  const auto parent = state.chains.find(state.chains.at(layer.chains[0]).parent);
  return parent == state.chains.end() ? std::string() : parent->second.layer.hex();
}

void list_logs(Store& store, std::vector<Item>& out) {
  const auto logs = sys::try_open_at(store.root_fd(), "logs", O_RDONLY | O_DIRECTORY);
  if (!logs) return;
  const std::size_t first = out.size();
  list_files(logs->get(), "log", false, out);
  OtherClaims others(store.impl());
  for (std::size_t i = first; i < out.size(); ++i) {
    Item& item = out[i];
    item.in_use = !lock_dead_logs(logs->get(), item.id);
    item.kept_apart = is_in_history(store, item.id) || others.build(item.id);
    item.description =
        cat("output of the steps of build ", item.id, item.kept_apart ? "" : ", which was killed or is forgotten");
  }
}

void list_other_indexes(Store::Impl& store, std::vector<Item>& out) {
  for (const OtherIndex& index : other_indexes(store)) {
    Item item;
    item.kind = "index";
    item.id = index.name;
    item.description = index.broken ? "an index that could not be read" : "the index of another version of cbuild";
    item.bytes = index.bytes;
    item.created_ns = item.last_used_ns = index.last_used_ns;
    item.kept_apart = !index.broken;
    out.push_back(std::move(item));
  }
}

}  // namespace

std::vector<Item> list_items(Store& handle, const GcState& state, const Kept& kept) {
  Store::Impl& store = handle.impl();
  std::vector<Item> out;
  for (const auto& [id, layer] : state.layers) {
    out.push_back({"layer",
                   id.hex(),
                   layer.description,
                   layer.bytes,
                   layer.created_ns,
                   layer.last_used_ns,
                   kept.layers.contains(id),
                   state.in_image(layer),
                   layer.fetchable,
                   false,
                   parent_layer(state, layer),
                   {}});
  }
  for (const auto& [digest, blob] : state.blobs) {
    out.push_back({"blob",
                   digest.hex(),
                   digest.str(),
                   blob.bytes,
                   blob.created_ns,
                   blob.last_used_ns,
                   kept.blobs.contains(digest),
                   blob.in_image,
                   blob.fetchable,
                   false,
                   {},
                   {}});
  }
  list_mounts(store, out);
  list_files(store.dir(Dir::scans), "scan", false, out);
  list_logs(handle, out);
  list_other_indexes(store, out);
  return out;
}

void clean_up_orphans(Store::Impl& store) {
  const std::int64_t now = sys::now_ns();
  OtherClaims others(store);
  clean_up_directory(
      store, Dir::snapshots, "SELECT 1 FROM layers WHERE id = ? AND has_tree = 1", [&](const Digest& id) {
        if (others.layer(id)) return true;
        const auto st = sys::try_stat_at(store.dir(Dir::snapshots), snapshot_name(id));
        if (!st || now - mtime_ns(*st) > kAdoptable) return false;
        const auto found = store.adoptable(id);
        return found && found->diff_id == id;  // a base's layer; one that was made here is of no use without its record
      });
  clean_up_directory(store, Dir::blobs, "SELECT 1 FROM blobs WHERE digest = ?", [&](const Digest& digest) {
    const auto st = sys::try_stat_at(store.dir(Dir::blobs), digest.hex());
    if (others.blob(digest)) return true;
    return st && now - mtime_ns(*st) < kAdoptable;
  });
  // Chains that differ by their identities only share one, which is named after none of them.
  clean_up_directory(store, Dir::flats, "SELECT 1 FROM chains WHERE id = ?", [&](const Digest& chain) {
    const auto st = sys::try_stat_at(store.dir(Dir::flats), chain.hex());
    if (others.chain(chain)) return true;
    return st && now - mtime_ns(*st) < kDay;
  });
}

Usage disk_usage(Store& store) {
  Store::Impl& impl = store.impl();
  const GcState state = read_state(impl);
  Usage usage;
  usage.items = list_items(store, state, kept_by(read_leases(store.root_fd(), impl.index.generation()), state));
  std::erase_if(usage.items, [](const Item& item) { return item.kind == "layer" && item.bytes == 0; });
  list_files(impl.dir(Dir::tmp), "tmp", true, usage.items);
  for (const Item& item : usage.items) {
    usage.total_bytes += item.bytes;
    if (item.is_reclaimable()) usage.reclaimable_bytes += item.bytes;
  }
  return usage;
}

void clean_up_leftovers(Store& store) {
  Store::Impl& impl = store.impl();
  const int tmp = impl.dir(Dir::tmp), locks = impl.dir(Dir::locks);
  // Listed before the leases are read: a name that is there already belongs to a lease that is there already.
  const std::vector<std::string> names = sys::list_dir(tmp), lock_names = sys::list_dir(locks);
  const LiveLeases leases = read_leases(store.root_fd(), impl.index.generation());
  const std::int64_t now = sys::now_ns();
  for (const std::string& name : names) {
    const std::string owner = owner_of(name);
    if (owner.empty()) {
      const auto st = sys::try_stat_at(tmp, name);
      if (!st || now - mtime_ns(*st) < kForeignLitter) continue;
    } else if (leases.names.contains(owner)) {
      continue;
    }
    try {
      sys::remove_all_at(tmp, name);
    } catch (const Error&) {
      // Something is mounted there still, or it belongs to another user; the next clean-up tries again.
    }
  }
  for (const std::string& name : lock_names) {
    if (!name.starts_with("mount-")) continue;
    // Who waits for it notices that the name is gone and locks a new one.
    if (FileLock::try_lock(locks, name, FileLock::Mode::exclusive)) ::unlinkat(locks, name.c_str(), 0);
  }
}

}  // namespace cbuild::cache
