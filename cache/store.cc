// SPDX-License-Identifier: Apache-2.0
//
// Opening a store, pins, locks and the sync at the end of a build. The rest of the class is in
// store_layers.cc, store_chains.cc, store_records.cc and store_names.cc, the index in index.cc, blobs in blob_files.cc.
// gc works on the same store from outside; lease.h says how the two meet.
#include "cache/store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/error.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/database/schema.h"
#include "cache/reserve.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

namespace {

constexpr const char* kDirNames[kDirs] = {"tmp", "locks", "snapshots", "blobs/sha256", "flats", "mounts", "scans"};
/// Use is remembered to the minute, so that a build with nothing to do writes nothing.
constexpr std::int64_t kTouchResolution = 60'000'000'000;

/// A build sets the reserve aside only where there is more than that.
constexpr std::uint64_t kSpare = 8u << 20;

std::string absolute(const std::string& path) {
  if (path.starts_with('/')) return clean_path(path);
  char buffer[4096];
  if (::getcwd(buffer, sizeof buffer) == nullptr) throw_errno(errno, "getcwd");
  return join_path(buffer, path);
}

UniqueFd open_directory(const std::string& root) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY;
  if (auto fd = sys::try_open_at(AT_FDCWD, root, kFlags)) return std::move(*fd);
  sys::mkdir_all(AT_FDCWD, dir_name(root), 0755);
  sys::mkdir_at(AT_FDCWD, root, 0700);
  return sys::open_at(AT_FDCWD, root, kFlags);
}

UniqueFd open_root(const std::string& root, bool makes_room) {
  UniqueFd fd = open_directory(root);
  if (makes_room) use_reserve(fd.get());
  return fd;
}

/// All named locks are bytes of one file.
constexpr char kStepLocks[] = "steps";

std::uint64_t lock_offset(const std::string& name) {
  return std::stoull(sha256(name).hex().substr(0, 15), nullptr, 16);
}

}  // namespace

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string default_root() {
  if (auto root = environment("CBUILD_ROOT"); !root.empty()) return root;
  if (::geteuid() == 0) return "/var/lib/cbuild";
  if (auto data = environment("XDG_DATA_HOME"); !data.empty()) return data + "/cbuild";
  return environment("HOME") + "/.local/share/cbuild";
}

Store::Impl::Impl(const StoreOptions& options)
    : root(absolute(options.root.empty() ? default_root() : options.root)),
      root_fd(open_root(root, options.makes_room)),
      user_xattr(options.user_xattr),
      owners_apart(options.owners_apart),
      makes_room(options.makes_room),
      index(root_fd.get(), root, notes, [this](Database& db) { adopt_images(db, root); }),
      lease(root_fd.get(), index.generation()),
      blobs(*this) {
  for (auto& fd : dirs_) fd = -1;
  const std::string form = environment("CBUILD_LAYERS");
  may_mount_ = ::geteuid() == 0 && !user_xattr && form != "unpack";
  mounts_every_ = form == "mount";
}

Store::Impl::~Impl() {
  flush_touched();
  remove_leftovers();
  if (makes_room) keep_reserve(root_fd.get(), 0);
  for (auto& fd : dirs_) {
    if (fd >= 0) ::close(fd);
  }
}

int Store::Impl::dir(Dir which) {
  auto& slot = dirs_[static_cast<unsigned>(which)];
  if (const int fd = slot.load(std::memory_order_acquire); fd >= 0) return fd;
  std::scoped_lock lock(dirs_mutex_);
  if (slot >= 0) return slot;
  const std::string name = kDirNames[static_cast<unsigned>(which)];
  auto fd = sys::try_open_at(root_fd.get(), name, O_RDONLY | O_DIRECTORY);
  if (!fd) {
    sys::mkdir_all(root_fd.get(), name, 0755);
    fd = sys::open_at(root_fd.get(), name, O_RDONLY | O_DIRECTORY);
  }
  slot.store(fd->release(), std::memory_order_release);
  return slot;
}

std::string Store::Impl::temp_name() { return cat(lease.name(), '.', counter_.fetch_add(1)); }

Pin Store::Impl::pin(Pinned kind, const Digest& id) {
  const Pin pin{kind, id};
  if (!lease.holds(pin)) lease.pin(pin);
  return pin;
}

bool Store::Impl::hold(Pinned kind, const Digest& id) {
  const Pin pin{kind, id};
  if (lease.holds(pin)) return true;
  lease.pin(pin);
  const bool there = index.read([&](Database& db) {
    switch (kind) {
      case Pinned::chain:
        return db.query("SELECT 1 FROM chains WHERE id = ? AND doomed = 0", id).next();
      case Pinned::layer:
        return db.query("SELECT 1 FROM layers WHERE id = ? AND doomed = 0", id).next();
      case Pinned::blob:
        return db.query("SELECT 1 FROM blobs WHERE digest = ? AND doomed = 0", id).next();
    }
    return false;
  });
  if (there) lease.confirm(pin);
  return there;
}

void Store::Impl::report_missing(const std::string& what) {
  throw Error(ErrorCode::missing_content, cat("store: ", what));
}

void Store::Impl::touch_chain(const Digest& chain, std::int64_t recorded_ns) {
  if (sys::now_ns() - recorded_ns < kTouchResolution) return;
  std::scoped_lock lock(mutex_);
  touched_.insert(chain);
}

void Store::Impl::flush_touched() noexcept {
  std::unordered_set<Digest> touched;
  {
    std::scoped_lock lock(mutex_);
    touched.swap(touched_);
  }
  if (touched.empty()) return;
  try {
    const std::int64_t now = sys::now_ns();
    index.write([&](Database& db) {
      for (const Digest& chain : touched) {
        db.run("UPDATE chains SET last_used_ns = ? WHERE id = ?", now, chain);
        db.run("UPDATE records SET last_used_ns = ? WHERE chain = ?", now, chain);
      }
    });
  } catch (const Error&) {
    // Only the order of eviction suffers.
  }
}

Store::Store(const StoreOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Store::~Store() = default;

const std::string& Store::root() const { return impl_->root; }
int Store::root_fd() const { return impl_->root_fd.get(); }
bool Store::owners_apart() const { return impl_->owners_apart; }
int Store::scans_fd() { return impl_->dir(Dir::scans); }
oci::BlobStore& Store::blobs() { return impl_->blobs; }
const std::vector<std::string>& Store::notes() const { return impl_->notes; }

std::optional<FileLock> Store::try_lock(const std::string& name) {
  return FileLock::try_lock_byte(impl_->dir(Dir::locks), kStepLocks, lock_offset(name));
}

std::optional<FileLock> Store::wait_lock(const std::string& name, const std::function<bool()>& cancelled) {
  return FileLock::wait_byte(impl_->dir(Dir::locks), kStepLocks, lock_offset(name), cancelled);
}

void Store::pin_chain(const Digest& chain) {
  if (!chain.empty()) impl_->hold(Pinned::chain, chain);
}

// Rows published before the sync are safe after it; those that others publish meanwhile have a higher number and waits
// for theirs.
void Store::make_durable() {
  impl_->flush_touched();
  std::vector<Digest> layers;
  std::int64_t last = 0;
  impl_->index.read([&](Database& db) {
    layers.clear();
    Query query = db.query("SELECT seq, kind, id FROM volatile ORDER BY seq");
    while (query.next()) {
      last = query.integer(0);
      if (query.integer(1) == static_cast<int>(Kind::layer)) layers.push_back(query.digest(2));
    }
  });
  if (last == 0) return;
  if (::syncfs(root_fd()) != 0) throw_errno(errno, cat("syncfs ", root()));
  for (const Digest& layer : layers) {
    // The name says that the sync came first; a fresh index trusts it after a reboot.
    const std::string snapshot = snapshot_name(layer);
    const int snapshots = impl_->dir(Dir::snapshots);
    (void)::renameat(snapshots, cat(snapshot, '/', kMeta).c_str(), snapshots, cat(snapshot, '/', kSyncedMeta).c_str());
  }
  impl_->index.write([&](Database& db) { db.run("DELETE FROM volatile WHERE seq <= ?", last); });
  impl_->index.read([](Database& db) { db.checkpoint(); });
  keep_reserve(root_fd(), kSpare);
}

}  // namespace cbuild::cache
