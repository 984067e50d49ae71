// SPDX-License-Identifier: Apache-2.0
//
// The mounts of a RUN: from values of the op to descriptors that the sandbox mounts. Everything is opened here, before
// the step starts, because a descriptor cannot be redirected by files that a step writes. Cache mounts come first and
// in one order, so that two steps with several locked caches never wait for each other. An empty cache mount is filled
// from `from`, or from a remote cache that has its content.
#include "solver/ops/exec_mounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/owner.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/remote/mount_pack.h"
#include "cache/unpacker.h"
#include "solver/ops/rootfs_path.h"
#include "solver/ops/tree_copy.h"
#include "solver/ops/write_tree.h"

namespace cbuild::solver::ops {
namespace {

constexpr auto kLockPoll = std::chrono::milliseconds(20);

std::vector<int> borrow(const std::vector<UniqueFd>& fds) {
  std::vector<int> out;
  for (const UniqueFd& fd : fds) out.push_back(fd.get());
  return out;
}

void own(int directory, uid_t uid, gid_t gid, mode_t mode) {
  sys::set_owner(directory, "", uid, gid);
  if (fchmod(directory, mode) != 0) throw_errno(errno, "chmod of a cache mount");
}

Error missing_source(const std::string& source) {
  return Error(ErrorCode::not_found, cat("failed to compute cache key: \"", source, "\": not found"));
}

class MountBuilder {
 public:
  MountBuilder(LocalExecState& state, const ExecuteRequest& request, sandbox::Spec& spec, ExecInputs& inputs)
      : state_(state), context_(state.context), request_(request), spec_(spec), inputs_(inputs) {}

  void add(const std::vector<ExecMount>& mounts) {
    acquire_caches(mounts);
    for (const ExecMount& mount : mounts) {
      target_ = mount.target;
      std::visit([this](const auto& what) { (*this)(what); }, mount.what);
    }
  }

 private:
  void operator()(const BindMount& bind);
  void operator()(const CacheMount& cache);
  void operator()(const TmpfsMount& tmpfs);
  void operator()(const SecretMount& secret);
  void operator()(const SshMount& ssh);

  const LocalSource* local_source(int input) const;
  Result input_result(int input, const std::string& path);
  void acquire_caches(const std::vector<ExecMount>& mounts);
  Result cache_content(const CacheMount& cache);
  Digest cache_base(const CacheMount& cache);
  std::string cache_name(const CacheMount& cache);
  void empty(const std::string& name, const CacheMount& cache);
  std::function<void(int)> filler(const CacheMount& cache);
  cache::Store::CacheMountDir acquire(const CacheMount& cache);
  bool fetch_content(const CacheMount& cache, const Digest& base, int directory);
  void fill(const Result& from, int directory);
  int cache_view(const CacheMount& cache);

  LocalExecState& state_;
  StepContext& context_;
  const ExecuteRequest& request_;
  sandbox::Spec& spec_;
  ExecInputs& inputs_;
  std::string target_;
  std::map<std::string, int> caches_;  // directories by cache_name()
  unsigned ssh_count_ = 0;
};

/// Null for an input that is not a local directory.
const LocalSource* MountBuilder::local_source(int input) const {
  return context_.local_source(*request_.vertex, static_cast<std::size_t>(input));
}

/// The result an input stands for; a local directory becomes a snapshot of the part that is read.
Result MountBuilder::input_result(int input, const std::string& path) {
  if (const LocalSource* local = local_source(input)) return context_.local_snapshot(*local, path);
  const Result result = request_.inputs.at(static_cast<std::size_t>(input));
  context_.materialize(result.id, request_.id);
  return result;
}

void MountBuilder::operator()(const BindMount& bind) {
  // The snapshot has the file that a link leads to, not the link.
  const LocalSource* local = local_source(bind.input);
  const std::string path = local ? context_.local_path(*local, bind.source) : relative(bind.source);
  const Result from = input_result(bind.input, path);
  if (from.id.empty()) {  // scratch, or a build without context
    if (!path.empty()) throw missing_source(bind.source);
    spec_.mounts.push_back({.target = target_, .source = sandbox::TmpfsSource{0, 0755}, .read_only = bind.read_only});
    return;
  }
  const cache::TreeView view = cache::open_view(context_.services.store, from.id);
  const auto resolved = view.resolve(path);
  if (!resolved) throw missing_source(bind.source);
  const auto entry = view.lookup(*resolved);
  if (entry && !S_ISDIR(entry->st.st_mode)) inputs_.file_targets.insert(target_);
  inputs_.fds.push_back(cache::open_lowers(context_.services.store, from.id));
  sandbox::OverlaySource source{borrow(inputs_.fds.back()), cat("/", path), !bind.read_only};
  spec_.mounts.push_back({.target = target_, .source = std::move(source), .read_only = bind.read_only});
}

/// In one order for all steps, so that no two wait for each other; a directory that several mounts of the step show is
/// taken once.
void MountBuilder::acquire_caches(const std::vector<ExecMount>& mounts) {
  std::map<std::string, const CacheMount*> wanted;
  for (const ExecMount& mount : mounts)
    if (const auto* cache = std::get_if<CacheMount>(&mount.what)) wanted.emplace(cache_name(*cache), cache);
  for (const auto& [name, cache] : wanted) {
    if (request_.vertex->ignore_cache) empty(name, *cache);
    cache::Store::CacheMountDir mount = acquire(*cache);
    caches_[name] = mount.dir.get();
    inputs_.fds.emplace_back().push_back(std::move(mount.dir));
    if (mount.lock) inputs_.locks.push_back(std::move(*mount.lock));
  }
}

/// The whole tree to begin with, whatever part of the cache the mount shows.
Result MountBuilder::cache_content(const CacheMount& cache) {
  return cache.input < 0 ? Result{} : input_result(cache.input, "");
}

/// The part of a name that tells caches of one id apart: content to begin with, else owner and mode.
Digest MountBuilder::cache_base(const CacheMount& cache) {
  const Result from = cache_content(cache);
  CanonicalWriter base;
  base.digest(from.identity).text(from.id.empty() ? "" : "/");
  if (from.id.empty()) base.number(cache.mode).number(cache.uid).number(cache.gid);
  return base.hash();
}

std::string MountBuilder::cache_name(const CacheMount& cache) { return cat(cache.id, '\n', cache_base(cache).hex()); }

/// A step that must not use cached content begins with empty cache mounts, once in a build, and if nobody else uses
/// them.
void MountBuilder::empty(const std::string& name, const CacheMount& cache) {
  {
    const std::lock_guard lock(state_.emptied_mutex);
    if (!state_.emptied.insert(name).second) return;
  }
  const int alone = static_cast<int>(Sharing::locked);
  const auto mount = context_.services.store.try_cache_mount(cache.id, cache_base(cache), alone, 0, filler(cache));
  if (!mount || mount->fresh) return;
  for (const std::string& entry : sys::list_dir(mount->dir.get())) sys::remove_all_at(mount->dir.get(), entry);
  filler(cache)(mount->dir.get());
}

std::function<void(int)> MountBuilder::filler(const CacheMount& cache) {
  return [this, &cache](int directory) {
    own(directory, cache.uid, cache.gid, cache.mode);
    fill(cache_content(cache), directory);
  };
}

cache::Store::CacheMountDir MountBuilder::acquire(const CacheMount& cache) {
  const int mode = static_cast<int>(cache.sharing);
  const Digest base = cache_base(cache);
  for (unsigned instance = 0;;) {
    context_.services.cancel.check();
    const auto begin = [&](int directory) {
      if (instance != 0 || !fetch_content(cache, base, directory)) return filler(cache)(directory);
      own(directory, cache.uid, cache.gid, cache.mode);
    };
    auto mount = context_.services.store.try_cache_mount(cache.id, base, mode, instance, begin);
    if (mount) return std::move(*mount);
    if (cache.sharing == Sharing::private_)
      ++instance;  // the next one that nobody holds
    else
      std::this_thread::sleep_for(kLockPoll);
  }
}

/// Content that a remote cache has for a mount that does not exist here yet. A cache mount may always be empty, so what
/// goes wrong is a warning.
bool MountBuilder::fetch_content(const CacheMount& cache, const Digest& base, int directory) {
  const BuildServices& services = context_.services;
  const auto packed = state_.settings.mount_content(cache::cache_mount_key(cache.id, base));
  if (!packed) return false;
  try {
    if (!services.store.blobs().size(packed->blob->digest)) services.fetch_blob(*packed, services.store.blobs());
    cache::unpack_cache_mount(services.store, *packed, directory, &services.cancel);
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::no_space) throw;
    for (const std::string& name : sys::list_dir(directory)) sys::remove_all_at(directory, name);
    services.progress.on_event(
        RunNote{Severity::warning, cat("cache mount ", cache.id, " starts empty: ", error.what())});
    return false;
  }
}

void MountBuilder::fill(const Result& from, int directory) {
  if (from.id.empty()) return;
  const cache::TreeView view = cache::open_view(context_.services.store, from.id);
  PlannedTree seed(nullptr);
  TreeCopier(view, seed, {}).copy_contents("", "");
  write_tree(seed, directory, &context_.services.cancel);
}

/// The part of the cache that the mount shows. The path to it was written by steps: links stay inside.
int MountBuilder::cache_view(const CacheMount& cache) {
  const int directory = caches_.at(cache_name(cache));
  if (relative(cache.source).empty()) return directory;
  auto part = sys::try_open_in_root(directory, relative(cache.source), O_PATH);
  if (!part)
    throw Error(ErrorCode::not_found, cat("cache mount source \"", cache.source, "\": not found"))
        .with_hint(
            cat("the cache ", cache.id, " does not hold it; a RUN that mounts the cache without source= can make it"));
  const mode_t type = sys::stat_fd(part->get()).st_mode & S_IFMT;
  if (type != S_IFDIR && type != S_IFREG)
    throw Error(ErrorCode::input, cat("cache mount source \"", cache.source, "\" is neither a directory nor a file"));
  if (type == S_IFREG) inputs_.file_targets.insert(target_);
  inputs_.fds.emplace_back().push_back(std::move(*part));
  return inputs_.fds.back().back().get();
}

void MountBuilder::operator()(const CacheMount& cache) {
  spec_.mounts.push_back(
      {.target = target_, .source = sandbox::BindSource{cache_view(cache)}, .read_only = cache.read_only});
}

void MountBuilder::operator()(const TmpfsMount& tmpfs) {
  spec_.mounts.push_back({.target = target_, .source = sandbox::TmpfsSource{tmpfs.size_bytes, 01777}, .no_suid = true});
}

void MountBuilder::operator()(const SecretMount& secret) {
  const auto& offered = state_.settings.secrets;
  const auto found = std::find_if(offered.begin(), offered.end(), [&](const Secret& s) { return s.id == secret.id; });
  if (found == offered.end()) {
    if (secret.required)
      throw Error(ErrorCode::not_found, cat("secret ", secret.id, ": not found"))
          .with_hint(cat("give it with --secret id=", secret.id, ",src=FILE or --secret id=", secret.id, ",env=NAME"));
    if (!secret.env_name.empty()) spec_.environment.push_back(cat(secret.env_name, "="));
    return;
  }
  const std::string value = found->read();
  if (!secret.env_name.empty()) spec_.environment.push_back(cat(secret.env_name, "=", value));
  if (!secret.as_file) return;
  spec_.mounts.push_back({.target = target_,
                          .source = sandbox::ContentSource{value, secret.uid, secret.gid, secret.mode},
                          .read_only = true,
                          .no_suid = true,
                          .no_dev = true,
                          .no_exec = (secret.mode & 0111) == 0});
}

void MountBuilder::operator()(const SshMount& ssh) {
  const auto& offered = state_.settings.ssh_agents;
  const auto found = std::find_if(offered.begin(), offered.end(), [&](const SshAgent& a) { return a.id == ssh.id; });
  if (found == offered.end()) {
    if (ssh.required)
      throw Error(ErrorCode::not_found, cat("unset ssh forward key ", ssh.id)).with_hint("give it with --ssh default");
    return;
  }
  const bool first = ssh_count_++ == 0;
  auto& fds = inputs_.fds.emplace_back();
  fds.push_back(sys::open_at(AT_FDCWD, found->socket_path, O_PATH));
  spec_.mounts.push_back({.target = target_, .source = sandbox::BindSource{fds.back().get()}});
  const bool set = std::any_of(spec_.environment.begin(), spec_.environment.end(),
                               [](const std::string& e) { return e.starts_with("SSH_AUTH_SOCK="); });
  if (first && !set) spec_.environment.push_back(cat("SSH_AUTH_SOCK=", target_));
}

}  // namespace

void add_mounts(LocalExecState& state, const ExecuteRequest& request, const ExecOp& op, sandbox::Spec& spec,
                ExecInputs& inputs) {
  MountBuilder builder(state, request, spec, inputs);
  builder.add(op.mounts);
  for (const InlineFile& file : op.files)
    spec.mounts.push_back(
        {.target = file.path, .source = sandbox::ContentSource{file.content, 0, 0, file.mode}, .read_only = true});
}

}  // namespace cbuild::solver::ops
