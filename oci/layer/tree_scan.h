// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "oci/layer/crew.h"
#include "oci/layer/entry_scan.h"

namespace cbuild::oci::layer {

/// A sorted walk whose entries come scanned. Trees of more than one batch are scanned ahead by the crew; memory and
/// descriptors in flight are bounded. The order is TreeWalk's, whatever the number of threads.
class TreeScan {
 public:
  TreeScan(int rootfd, const ScanRules& rules, Crew& crew);
  ~TreeScan();
  TreeScan(const TreeScan&) = delete;
  TreeScan& operator=(const TreeScan&) = delete;

  /// The next entry; false at the end.
  bool next(ScannedEntry& entry);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::oci::layer
