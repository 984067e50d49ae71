// SPDX-License-Identifier: Apache-2.0
// Removal on a disk that has no room for the index's log: unlinking needs none, so files go first, and rows when there
// is space again. A reader that comes in between finds a row without its files, which is a miss.
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sys.h"
#include "cache/build_history.h"
#include "cache/gc/gc_take.h"
#include "cache/other_indexes.h"
#include "cache/reserve.h"

namespace cbuild::cache {

namespace {

using Item = Usage::Item;

std::uint64_t free_bytes(Store& store) {
  struct statvfs disk {};
  return ::fstatvfs(store.root_fd(), &disk) == 0 ? std::uint64_t{disk.f_bavail} * disk.f_frsize : 0;
}

/// True if there was something, and it is gone.
bool remove_at(int directory, const std::string& name) {
  if (!sys::try_stat_at(directory, name)) return false;
  sys::remove_all_at(directory, name);
  return true;
}

class FileRemover {
 public:
  FileRemover(Store& store, const GcState& state, const PruneOptions& options)
      : store_(store),
        impl_(store.impl()),
        state_(state),
        options_(options),
        kept_(kept_by(read_leases(store.root_fd(), impl_.index.generation()), state)),
        others_(impl_) {}

  bool remove(const Item& item) {
    if (item.kind == "log") return remove_log(item.id);
    if (item.kind == "scan") return remove_at(impl_.dir(Dir::scans), item.id);
    if (item.kind == "index") return remove_other_index(impl_, item.id);
    if (item.kind == "cachemount") return remove_mount(item.id);
    const auto id = Digest::from_hex(item.id);
    if (item.kind == "blob") return id && remove_blob(*id);
    return item.kind == "layer" && id && remove_layer(*id);
  }

 private:
  bool remove_layer(const Digest& id) {
    if (kept_.layers.contains(id) || others_.layer(id)) return false;
    bool any = remove_at(impl_.dir(Dir::snapshots), snapshot_name(id));
    for (const Digest& blob : state_.layers.at(id).blobs) any = remove_blob(blob) || any;
    return any;
  }

  bool remove_blob(const Digest& digest) {
    const auto blob = state_.blobs.find(digest);
    if (blob == state_.blobs.end() || kept_.blobs.contains(digest) || others_.blob(digest)) return false;
    const bool may_go = !blob->second.in_image || options_.all || (options_.fetchable && blob->second.fetchable);
    return may_go && remove_at(impl_.dir(Dir::blobs), digest.hex());
  }

  bool remove_mount(const std::string& name) {
    std::optional<FileLock> lock;  // none either where the disk has no inode for it: its turn comes later
    unless_full([&] { lock = FileLock::try_lock(impl_.dir(Dir::locks), "mount-" + name, FileLock::Mode::exclusive); });
    return lock && !others_.mount(name) && remove_at(impl_.dir(Dir::mounts), name);
  }

  bool remove_log(const std::string& id) {
    const auto logs = sys::try_open_at(store_.root_fd(), "logs", O_RDONLY | O_DIRECTORY);
    return logs && lock_dead_logs(logs->get(), id) && remove_at(logs->get(), id);
  }

  Store& store_;
  Store::Impl& impl_;
  const GcState& state_;
  const PruneOptions& options_;
  const Kept kept_;
  OtherClaims others_;
};

}  // namespace

bool remove_files(Store& store, const GcState& state, const std::vector<Item>& victims, const PruneOptions& options,
                  std::uint64_t enough) {
  FileRemover remover(store, state, options);
  bool any = false;
  for (const Item& item : victims) {
    any = remover.remove(item) || any;
    if (any && free_bytes(store) >= enough) break;
  }
  return any;
}

}  // namespace cbuild::cache
