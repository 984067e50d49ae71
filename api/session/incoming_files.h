// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/session/file_stat.h"
#include "api/session/kept_metadata.h"
#include "api/session/sync_directory.h"
#include "base/fd.h"

namespace cbuild::api {

/// The contents of files that a client is asked for. A file is written in the staging directory and gets its name in
/// the tree when it has all its bytes and its metadata, so that one that is not finished never has the time and size of
/// a finished one. Not thread-safe.
class IncomingFiles {
 public:
  /// `ask` sends a request for the content of the file of that number.
  IncomingFiles(const SyncedDirectory& destination, const KeptMetadata& kept, const SyncLimits& limits,
                SyncProgress progress, std::function<void(std::uint32_t)> ask);

  /// The file of that number is wanted: it is asked for at once, or when others are done.
  void want(std::uint32_t number, FileStat entry);
  /// Bytes of a file, none: its end. Throws Error{input} for a file that was not asked for, and for more bytes than it
  /// has or than the limits allow.
  void take(std::uint32_t number, std::string_view bytes);
  /// All that were wanted are in the tree.
  bool empty() const { return open_.empty(); }

  std::uint64_t files() const { return files_; }
  std::uint64_t bytes() const { return bytes_; }
  /// Those of which less came than they should have; the first 100.
  std::vector<std::string> take_incomplete() { return std::move(incomplete_); }

 private:
  struct File {
    FileStat entry;
    UniqueFd fd;  ///< from the first bytes on
    std::uint64_t written = 0;
  };
  void open(std::uint32_t number, File& file) const;
  void finish(std::uint32_t number, File& file);
  int parent_of(const std::string& path);

  const SyncedDirectory& destination_;
  const KeptMetadata& kept_;
  const SyncLimits& limits_;
  SyncProgress progress_;
  std::function<void(std::uint32_t)> ask_;
  std::unordered_map<std::uint32_t, File> open_;
  std::deque<std::pair<std::uint32_t, FileStat>> waiting_;
  std::string parent_path_;  ///< of parent_
  UniqueFd parent_;
  std::uint64_t files_ = 0, bytes_ = 0;
  std::vector<std::string> incomplete_;
};

}  // namespace cbuild::api
