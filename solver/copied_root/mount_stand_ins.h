// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <ctime>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "cache/store.h"
#include "sandbox/spec.h"
#include "solver/copied_root/copied_root.h"

namespace cbuild::solver::ops {

/// Shows the mounts of a step in a copied root on a machine that lets this process mount nothing. A cache mount is the
/// cache itself, moved there for the time of the step and locked (`sharing=shared` is `locked` then); everything else
/// is a copy that is thrown away, read-only mounts included, secrets among them. What lay at a target is moved aside.
/// /dev gets the standard nodes where they can be made; /proc and /sys stay empty.
class MountStandIns {
 public:
  /// `aside` takes what lay at the targets.
  MountStandIns(CopiedRoot& root, cache::Staging aside) : root_(root), aside_(std::move(aside)) {}
  MountStandIns(const MountStandIns&) = delete;
  MountStandIns& operator=(const MountStandIns&) = delete;
  /// As remove(); a failure cannot be told then.
  ~MountStandIns();

  /// After CopiedRoot::remember(). `user_xattr`: as of the store. Throws Error{unsupported} for a mount that cannot be
  /// shown.
  void place(const sandbox::Spec& spec, bool user_xattr);
  /// Takes them away again, gives caches back, and puts back what lay there, so that only the command's own changes
  /// remain. Throws Error.
  void remove();

  /// Where a cache goes back to.
  struct Origin {
    UniqueFd parent;
    std::string name;
  };

 private:
  struct Placed {
    UniqueFd parent;
    std::string name, path;
    std::string aside;  ///< name in aside_; empty if nothing was there
    struct timespec parent_time {};
    std::optional<Origin> origin;  ///< of a cache
    std::pair<dev_t, ino_t> cache = {};
  };

  Placed& make_place(const std::string& target);
  void place_devices(const sandbox::Spec& spec);
  void place_mount(const sandbox::Mount& mount, bool user_xattr);
  static void place_socket(const Placed& at, int socket);
  static void place_copy(const Placed& at, const sandbox::OverlaySource& source, bool user_xattr);
  const Placed* placed_before(int cache) const;
  static void link_to(const Placed& first, const Placed& at);
  void lock_caches(const sandbox::Spec& spec);
  void take_away(Placed& placed);

  CopiedRoot& root_;
  cache::Staging aside_;
  std::vector<Placed> placed_;
  std::vector<UniqueFd> locks_;
};

}  // namespace cbuild::solver::ops
