// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"
#include "base/files.h"

namespace cbuild::cache {

/// The kinds of items that a live process can hold.
enum class Pinned : char { chain = 'C', layer = 'L', blob = 'B' };
using Pin = std::pair<Pinned, Digest>;

/// The file leases/<pid>-<random> of one handle: locked by flock while the handle lives, and listing its pins. Made
/// when the first thing is pinned. Thread-safe.
///
/// How readers and gc meet without a write transaction: a reader writes its pin first and then looks (again) whether
/// the thing is there and not doomed. gc first commits the doom and then reads all leases; items that it finds pinned
/// it gives back. So either the reader sees the doom, or gc sees the pin.
class Lease {
 public:
  /// `generation` is the index's; see read_leases().
  Lease(int root_fd, std::string generation) : root_fd_(root_fd), generation_(std::move(generation)) {}
  ~Lease();

  /// Name of the lease file, made now; also the prefix of this handle's names in tmp/.
  std::string name();
  bool holds(const Pin& pin);
  /// Writes a pin. The caller looks afterwards and tells confirm() when the thing was there.
  void pin(const Pin& pin);
  void confirm(const Pin& pin);
  /// The thing is gone: the next use has to look again.
  void forget(const Pin& pin);

 private:
  void ensure_file();

  int root_fd_;
  std::string generation_, name_;
  std::mutex mutex_;
  UniqueFd file_;
  std::set<Pin> confirmed_;
  std::optional<FileLock> gc_blocked_;
};

/// The pins of all live leases of a store.
struct LiveLeases {
  std::set<std::string> names;
  std::set<Pin> pins;
  bool foreign_index = false;  ///< one of them works with an index that was put aside: its pins are unknown
};
/// Reads the leases and removes those of dead processes.
LiveLeases read_leases(int root_fd, const std::string& generation);

}  // namespace cbuild::cache
