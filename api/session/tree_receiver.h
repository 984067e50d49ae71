// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "api/session/incoming_files.h"
#include "api/session/kept_metadata.h"
#include "api/session/sync_directory.h"
#include "api/session/tree_walk.h"

namespace cbuild::api {

/// Makes the tree of a directory the same as a client's, from what the client sends. Not thread-safe. Every function
/// throws Error: {input} for what a client must not send. Afterwards the object is of no use, and the tree is one that
/// the next receiver can go on from.
class TreeReceiver {
 public:
  /// `destination` and `limits` are borrowed. `ask` sends a request for the content of the file of that number.
  TreeReceiver(const SyncedDirectory& destination, const SyncLimits& limits, SyncProgress progress,
               std::function<void(std::uint32_t)> ask);

  /// The next entry of the list; the first one has the number 0.
  void add(FileStat entry);
  void end_entries();
  /// Bytes of a file that was asked for, none: its end.
  void data(std::uint32_t number, std::string_view bytes) { files_.take(number, bytes); }
  /// All entries and all files are there.
  bool complete() const { return ended_ && files_.empty(); }
  /// Once, when complete: makes hard links, sets the metadata of directories.
  SyncResult finish();

 private:
  struct Directory {
    FileStat entry;
    bool changed;
  };
  void add_directory(const TreeWalk::Place& place, FileStat entry);
  void add_file(const TreeWalk::Place& place, FileStat entry);
  void add_special(const TreeWalk::Place& place, const FileStat& entry);
  void make_special(const FileStat& entry) const;
  bool is_same_file(const TreeWalk::Place& place, const FileStat& entry);
  void make_link(const FileStat& entry);
  void finish_directories();
  void change(std::size_t directory);

  const SyncedDirectory& destination_;
  const SyncLimits& limits_;
  KeptMetadata kept_;
  TreeWalk walk_;
  IncomingFiles files_;
  std::vector<Directory> directories_;
  std::vector<FileStat> links_;                ///< hard links
  std::unordered_set<std::string> linked_;     ///< their paths
  std::unordered_set<std::uint64_t> claimed_;  ///< inodes of several names that are the file of one entry
  std::uint32_t entries_ = 0;
  bool ended_ = false;
  std::vector<std::string> left_out_;
};

}  // namespace cbuild::api
