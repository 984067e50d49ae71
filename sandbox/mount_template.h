// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/fd.h"

namespace cbuild::sandbox {

/// A mount namespace with next to nothing in it, which steps make their own from: copying it copies seven
/// mounts instead of the machine's whole table, and taking it down again is as cheap. Lives as long as the
/// descriptor.
class MountTemplate {
 public:
  /// Paths in it: where the root goes, where trees are attached for a moment, an empty read-only directory,
  /// /dev/null read-only.
  static constexpr const char *kRoot = "/root", *kScratch = "/scratch", *kEmpty = "/empty", *kNull = "/null";

  /// The calling process, which has to be single-threaded, visits the new namespace and comes back. Throws
  /// Error.
  MountTemplate();

  /// For setns(2).
  int fd() const { return namespace_.get(); }

 private:
  UniqueFd namespace_;
};

}  // namespace cbuild::sandbox
