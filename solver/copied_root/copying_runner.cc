// SPDX-License-Identifier: Apache-2.0
// A step's layers are known by their directories, not by their names in the store, so the copy of one step is found
// again by the next, whose topmost layer is the upper directory that was just written. Any number of steps run at once,
// each in a copy of its own; at most two copies wait for a next step.
#include "solver/copied_root/copying_runner.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <tuple>

#include "base/duplicate.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/whiteout.h"
#include "solver/copied_root/copied_root.h"
#include "solver/copied_root/mount_stand_ins.h"
#include "solver/ops/work_pool.h"

namespace cbuild::solver::ops {
namespace {

constexpr std::size_t kMaxKept = 2;
constexpr unsigned kMaxFinishers = 4;

/// A directory of the store, whatever its name is: the upper directory of a step becomes the layer of its result. With
/// the time of its making, because the number of an inode is used again.
using LayerId = std::tuple<std::uint64_t, std::uint64_t, std::int64_t, std::uint32_t>;

LayerId layer_id(int fd) {
  struct statx info {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) != 0) throw_errno(errno, "statx of a layer");
  return {makedev(info.stx_dev_major, info.stx_dev_minor), info.stx_ino, info.stx_btime.tv_sec, info.stx_btime.tv_nsec};
}

/// Topmost first.
using Layers = std::vector<LayerId>;

Layers layers_of(const std::vector<int>& fds) {
  Layers layers;
  for (const int fd : fds) layers.push_back(layer_id(fd));
  return layers;
}

/// Copies that the next step can go on with.
class KeptRoots {
 public:
  std::optional<CopiedRoot> take(const Layers& layers) {
    const std::lock_guard lock(mutex_);
    for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
      if (kept->first != layers) continue;
      CopiedRoot root = std::move(kept->second);
      kept_.erase(kept);
      return root;
    }
    return std::nullopt;
  }
  void keep(Layers layers, CopiedRoot root) {
    const std::lock_guard lock(mutex_);
    if (kept_.size() == kMaxKept) kept_.erase(kept_.begin());
    kept_.emplace_back(std::move(layers), std::move(root));
  }

 private:
  std::mutex mutex_;  // guards kept_
  std::vector<std::pair<Layers, CopiedRoot>> kept_;
};

/// What the steps of one build share.
struct Shared {
  CopyingSettings settings;
  bool makes_devices = false;
  KeptRoots kept;
};

bool may_make_devices(int directory) {
  constexpr const char* kName = "device";
  if (::mknodat(directory, kName, S_IFCHR | 0600, makedev(1, 3)) != 0) return false;
  return ::unlinkat(directory, kName, 0) == 0;
}

/// One command in its copy.
class CopiedStep {
 public:
  CopiedStep(Shared& shared, const sandbox::Spec& spec)
      : shared_(shared), layers_(layers_of(spec.lower_fds)), upper_(duplicate(spec.upper_fd)) {
    if (auto kept = shared.kept.take(layers_))
      root_.emplace(std::move(*kept));
    else
      populate(spec);
    if (spec.skeleton_fd >= 0) root_->add_skeleton(spec.skeleton_fd);
    root_->remember();
    if (shared.settings.mounts) {
      copy_sources(spec);
    } else {
      mounts_.emplace(*root_, shared.settings.stage());
      mounts_->place(spec, shared.settings.user_xattr);
    }
  }

  sandbox::Spec inner_spec(sandbox::Spec spec) const {
    spec.lower_fds.clear();
    spec.skeleton_fd = spec.work_fd = -1;
    spec.upper_fd = root_->fd();
    if (!shared_.settings.mounts) {
      spec.mounts.clear();
      spec.hosts_file.clear();
      spec.resolv_conf.clear();
    }
    for (const auto& [index, source] : sources_)
      std::get<sandbox::OverlaySource>(spec.mounts[index].source).lower_fds = {source.fd()};
    return spec;
  }

  /// After the command.
  void finish(bool successful) {
    if (mounts_) mounts_->remove();
    if (!successful) return;
    root_->write_changes(upper_.get(), opaque_xattr(shared_.settings.user_xattr));
    layers_.insert(layers_.begin(), layer_id(upper_.get()));
    mounts_.reset();
    shared_.kept.keep(std::move(layers_), std::move(*root_));
  }

 private:
  void populate(const sandbox::Spec& spec) {
    root_.emplace(shared_.settings.stage());
    std::vector<int> layers = spec.lower_fds;
    layers.insert(layers.begin(), spec.upper_fd);
    root_->populate(view_of(layers), shared_.makes_devices);
  }

  /// The kernel does not know the whiteouts of a file system that takes none of its own (base/whiteout.h).
  void copy_sources(const sandbox::Spec& spec) {
    for (std::size_t i = 0; i < spec.mounts.size(); ++i) {
      const auto* source = std::get_if<sandbox::OverlaySource>(&spec.mounts[i].source);
      if (source == nullptr || source->lower_fds.size() == 1) continue;
      CopiedRoot copy(shared_.settings.stage());
      copy.populate(view_of(source->lower_fds), shared_.makes_devices);
      sources_.emplace_back(i, std::move(copy));
    }
  }

  cache::TreeView view_of(const std::vector<int>& fds) const {
    std::vector<UniqueFd> layers;
    for (const int fd : fds) layers.push_back(duplicate(fd));
    return {std::move(layers), true, shared_.settings.user_xattr};
  }

  Shared& shared_;
  Layers layers_;
  UniqueFd upper_;
  std::optional<CopiedRoot> root_;
  std::vector<std::pair<std::size_t, CopiedRoot>> sources_;  ///< in place of the layers of a bind mount, by its index
  std::optional<MountStandIns> mounts_;                      // after root_, whose entries it gives back
};

class CopyingRunner final : public sandbox::Runner {
 public:
  CopyingRunner(std::unique_ptr<sandbox::Runner> inner, CopyingSettings settings)
      : shared_{std::move(settings), false, {}}, inner_(std::move(inner)) {
    const cache::Staging trial = shared_.settings.stage();
    shared_.makes_devices = trial.side() != nullptr || may_make_devices(trial.tree_fd());
  }

  std::shared_ptr<sandbox::RunningStep> run(const sandbox::Spec& spec, sandbox::RunCallbacks callbacks) override {
    auto step = std::make_shared<CopiedStep>(shared_, spec);
    finishers_.start_one();
    auto done = [this, step, done = std::move(callbacks.done)](const sandbox::Exit& exit) {
      finishers_.post([step, done, exit] { done(finish(*step, exit)); });
    };
    return inner_->run(step->inner_spec(spec), {.output = std::move(callbacks.output), .done = std::move(done)});
  }

 private:
  static sandbox::Exit finish(CopiedStep& step, sandbox::Exit exit) {
    try {
      step.finish(exit.code == 0 && exit.setup_error.empty());
    } catch (const std::exception& error) {
      const auto* known = dynamic_cast<const Error*>(&error);
      exit.code = 125;
      exit.setup_error = cat("take over its changes: ", error.what());
      const bool is_full = known != nullptr && known->code() == ErrorCode::no_space;
      exit.setup_fault = is_full ? sandbox::SetupFault::disk_full : sandbox::SetupFault::machine;
    }
    return exit;
  }

  Shared shared_;
  WorkPool finishers_{kMaxFinishers};
  std::unique_ptr<sandbox::Runner> inner_;  // first to go: its callbacks use the above
};

}  // namespace

std::unique_ptr<sandbox::Runner> make_copying_runner(std::unique_ptr<sandbox::Runner> inner, CopyingSettings settings) {
  return std::make_unique<CopyingRunner>(std::move(inner), std::move(settings));
}

}  // namespace cbuild::solver::ops
