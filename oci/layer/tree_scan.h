// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "oci/compression/task_group.h"
#include "oci/layer/entry_scan.h"

namespace cbuild::oci::layer {

/// A run of entries that one thread reads.
class ScanBatch {
 public:
  virtual ~ScanBatch() = default;
  virtual std::size_t size() const = 0;
  /// Reads one; each is asked for once, in order.
  virtual ScannedEntry scan(std::size_t index, std::size_t& budget) = 0;
};

/// Where the entries of a layer come from, in the order of the layer. Used by one thread.
class ScanSource {
 public:
  virtual ~ScanSource() = default;
  /// The next run; null at the end.
  virtual std::shared_ptr<ScanBatch> next() = 0;
};

/// The entries of a directory on disk; `rootfd` is borrowed.
std::unique_ptr<ScanSource> scan_directory_tree(int rootfd, const ScanRules& rules);
/// Entries that are only planned; `entries` is borrowed.
std::unique_ptr<ScanSource> scan_planned_tree(PlannedEntries& entries);

/// The entries of a source, scanned. Trees of more than one batch are scanned ahead by tasks; memory and descriptors
/// in flight are bounded. The order is the source's, whatever the number of threads.
class TreeScan {
 public:
  TreeScan(ScanSource& source, TaskGroup& tasks);
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
