// SPDX-License-Identifier: Apache-2.0
// A cache is a directory of the store under the id, the content that it began with, and its owner. Locks are taken in
// the order of these names; a private cache that is taken is passed over for the next instance.
#include "solver/ops/cache_mounts.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/owner.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/remote/mount_pack.h"
#include "solver/ops/rootfs_path.h"
#include "solver/ops/tree_copy.h"
#include "solver/ops/write_tree.h"

namespace cbuild::solver::ops {
namespace {

constexpr auto kLockPoll = std::chrono::milliseconds(20);

/// A command sees one id where files cannot be given away: nobody asks for the others in a cache.
std::unique_ptr<SideRecorder> unread_side(const cache::Store& store) {
  return store.owners_apart() ? std::make_unique<SideRecorder>(true) : nullptr;
}

void own(const cache::Store& store, int directory, const CacheMount& cache) {
  if (const auto side = unread_side(store))
    return side->give(directory, "", {S_IFDIR | (cache.mode & 07777), cache.uid, cache.gid});
  sys::set_owner_and_mode(directory, cache.uid, cache.gid, cache.mode, "a cache mount");
}

void fill(StepContext& context, const Result& from, int directory) {
  if (from.id.empty()) return;
  const cache::TreeView view = cache::open_view(context.services.store, from.id);
  PlannedTree seed(nullptr);
  TreeCopier(view, seed, {}).copy_contents("", "");
  const auto side = unread_side(context.services.store);
  write_tree(seed, directory, side.get(), &context.services.cancel);
}

}  // namespace

void CacheMounts::acquire(const std::vector<ExecMount>& mounts, ExecInputs& inputs) {
  std::map<std::string, const CacheMount*> wanted;
  for (const ExecMount& mount : mounts)
    if (const auto* cache = std::get_if<CacheMount>(&mount.what)) wanted.emplace(name(*cache), cache);
  for (const auto& [key, cache] : wanted) {
    if (request_.vertex->ignore_cache) empty(key, *cache);
    cache::Store::CacheMountDir mount = take(*cache);
    directories_[key] = mount.dir.get();
    inputs.fds.emplace_back().push_back(std::move(mount.dir));
    if (mount.lock) inputs.locks.push_back(std::move(*mount.lock));
  }
}

/// The whole tree to begin with, whatever part of the cache the mount shows.
Result CacheMounts::content(const CacheMount& cache) const {
  return cache.input < 0 ? Result{} : input_result(context_, request_, cache.input, "");
}

/// The part of a name that tells caches of one id apart: content to begin with, else owner and mode.
Digest CacheMounts::base(const CacheMount& cache) const {
  const Result from = content(cache);
  CanonicalWriter parts;
  parts.digest(from.identity).text(from.id.empty() ? "" : "/");
  if (from.id.empty()) parts.number(cache.mode).number(cache.uid).number(cache.gid);
  return parts.hash();
}

std::string CacheMounts::name(const CacheMount& cache) const { return cat(cache.id, '\n', base(cache).hex()); }

/// A step that must not use cached content begins with empty cache mounts, once in a build, and if nobody else uses
/// them.
void CacheMounts::empty(const std::string& key, const CacheMount& cache) {
  {
    const std::lock_guard lock(state_.emptied_mutex);
    if (!state_.emptied.insert(key).second) return;
  }
  const int alone = static_cast<int>(Sharing::locked);
  const auto mount = context_.services.store.try_cache_mount(cache.id, base(cache), alone, 0, filler(cache));
  if (!mount || mount->fresh) return;
  for (const std::string& entry : sys::list_dir(mount->dir.get())) sys::remove_all_at(mount->dir.get(), entry);
  filler(cache)(mount->dir.get());
}

std::function<void(int)> CacheMounts::filler(const CacheMount& cache) const {
  return [this, &cache](int directory) {
    own(context_.services.store, directory, cache);
    fill(context_, content(cache), directory);
  };
}

cache::Store::CacheMountDir CacheMounts::take(const CacheMount& cache) {
  const int mode = static_cast<int>(cache.sharing);
  const Digest wanted = base(cache);
  for (unsigned instance = 0;;) {
    context_.services.cancel.check();
    const auto begin = [&](int directory) {
      if (instance != 0 || !fetch_content(cache, wanted, directory)) return filler(cache)(directory);
      own(context_.services.store, directory, cache);
    };
    auto mount = context_.services.store.try_cache_mount(cache.id, wanted, mode, instance, begin);
    if (mount) return std::move(*mount);
    if (cache.sharing == Sharing::private_)
      ++instance;  // the next one that nobody holds
    else
      std::this_thread::sleep_for(kLockPoll);
  }
}

/// Content that a remote cache has for a mount that does not exist here yet. A cache mount may always be empty, so what
/// goes wrong is a warning.
bool CacheMounts::fetch_content(const CacheMount& cache, const Digest& wanted, int directory) {
  const BuildServices& services = context_.services;
  const auto packed = state_.settings.mount_content(cache::cache_mount_key(cache.id, wanted));
  if (!packed) return false;
  try {
    if (!services.store.blobs().size(packed->blob->digest)) services.fetch_blob(*packed, services.store.blobs());
    cache::unpack_cache_mount(services.store, *packed, directory, &services.cancel);
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::no_space) throw;
    for (const std::string& entry : sys::list_dir(directory)) sys::remove_all_at(directory, entry);
    services.progress.on_event(
        RunNote{Severity::warning, cat("cache mount ", cache.id, " starts empty: ", error.what())});
    return false;
  }
}

int CacheMounts::view(const CacheMount& cache, ExecInputs& inputs) const {
  const int directory = directories_.at(name(cache));
  if (relative(cache.source).empty()) return directory;
  auto part = sys::try_open_in_root(directory, relative(cache.source), O_PATH);
  if (!part)
    throw Error(ErrorCode::not_found, cat("cache mount source \"", cache.source, "\": not found"))
        .with_hint(
            cat("the cache ", cache.id, " does not hold it; a RUN that mounts the cache without source= can make it"));
  const mode_t type = sys::stat_fd(part->get()).st_mode & S_IFMT;
  if (type != S_IFDIR && type != S_IFREG)
    throw Error(ErrorCode::input, cat("cache mount source \"", cache.source, "\" is neither a directory nor a file"));
  inputs.fds.emplace_back().push_back(std::move(*part));
  return inputs.fds.back().back().get();
}

}  // namespace cbuild::solver::ops
