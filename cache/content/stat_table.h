// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"

namespace cbuild::cache {

/// The stat data by which an unchanged file is known.
struct StatId {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t mtime_ns = 0, ctime_ns = 0;

  bool operator==(const StatId&) const = default;
};
StatId stat_id(const struct stat& st);

/// Whether a file that has this id and is read at `now_ns` or later cannot be changed afterwards and keep the id: its
/// ctime lies further back than the clock is coarse that stamps files. A ctime without a fraction is of a file system
/// that has none.
bool is_settled(const StatId& id, std::int64_t now_ns);

/// The digests of a file, a symlink or a directory, valid while it has this id.
struct CachedDigest {
  StatId id;
  Digest content;  ///< of the bytes, of the link target; empty for a directory
  Digest xattrs;   ///< empty if it has none that count
};

/// The file-stat digests of one context root: a flat file, sorted, mapped into memory, checked block by block
/// as it is used. See docs/decisions/file-stat-table.md. Immutable; reading is thread-safe.
class StatTable {
 public:
  struct Row {
    std::string name;
    CachedDigest cached;
  };
  using Directories = std::map<std::string, std::vector<Row>>;  ///< rows sorted by name

  /// The digests of the entries of one directory.
  class Block {
   public:
    Block() = default;
    /// `hint` makes finding names in sorted order cheap; start with 0.
    std::optional<CachedDigest> find(std::string_view name, std::size_t& hint) const;
    std::vector<Row> rows() const;
    std::size_t size() const { return count_; }

   private:
    friend class StatTable;
    Block(const std::byte* data, std::size_t count) : data_(data), count_(count) {}
    std::string_view name(std::size_t index) const;
    CachedDigest cached(std::size_t index) const;
    const std::byte* data_ = nullptr;
    std::size_t count_ = 0;
  };

  /// Empty if there is no such file or it is damaged.
  static StatTable load(int dirfd, const std::string& name);
  static void write(int dirfd, const std::string& name, const Directories& directories);

  StatTable();
  ~StatTable();
  StatTable(StatTable&&) noexcept;
  StatTable& operator=(StatTable&&) noexcept;

  /// Empty if nothing is known or the block is damaged.
  Block directory(std::string_view path) const;
  std::vector<std::string> paths() const;

 private:
  struct Mapping;
  std::unique_ptr<Mapping> mapping_;
};

}  // namespace cbuild::cache
