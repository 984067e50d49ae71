// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/sys.h"

/// Side metadata: what entries of a tree ought to be where this process, or the file system, cannot make them so
/// (owners other than one's own, device nodes, capabilities, files that their owner may not read). It lies in one file
/// next to the tree; readers of the tree put it over what stat says. See docs/decisions/side-metadata.md.
namespace cbuild {

/// The metadata of an entry but its times.
struct Metadata {
  mode_t mode = 0;  ///< type and permission bits
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t device = 0;  ///< of device nodes
  std::vector<sys::Xattr> xattrs = {};

  bool operator==(const Metadata&) const = default;
};

/// An entry that is not what it ought to be.
struct SideEntry {
  Metadata wanted;         ///< `xattrs`: those only that could not be set
  mode_t stored_mode = 0;  ///< what the file has in place of wanted.mode

  bool operator==(const SideEntry&) const = default;
};

/// The side metadata of one tree, by path from its root ("" is the root). Immutable.
class SideMetadata {
 public:
  using Entries = std::unordered_map<std::string, SideEntry>;

  /// `owners_apart`: files of this process stand for files of root; owners that the file system has count for nothing.
  SideMetadata(Entries entries, bool owners_apart);
  /// Of the tree whose root directory is `tree` (O_PATH is enough); null if it has none. Throws Error{corrupt}.
  static std::shared_ptr<const SideMetadata> read(int tree);
  /// Whether the tree's side metadata says that owners are kept apart; false without any.
  static bool says_owners_apart(int tree);

  /// Changes what stat says of an entry into what it ought to say. A mode or an owner that was set later stays.
  void correct(const std::string& path, struct stat& st) const;
  const SideEntry* find(const std::string& path) const;
  const Entries& entries() const { return entries_; }
  bool owners_apart() const { return owners_apart_; }

 private:
  Entries entries_;
  bool owners_apart_;
  uid_t own_uid_;
  gid_t own_gid_;
};

/// Collects the side metadata of a tree while it is made. Thread-safe.
class SideRecorder {
 public:
  explicit SideRecorder(bool owners_apart);
  SideRecorder(const SideRecorder&) = delete;
  SideRecorder& operator=(const SideRecorder&) = delete;

  /// Makes `name` below `directory` ("" is the directory itself), as near to `wanted` as
  /// can be and remembers the rest. Its owner may read it, and enter it, whatever wanted.mode says. Throws Error.
  void give(int directory, const char* name, const Metadata& wanted);
  /// The same for the mode alone of an entry that was given its metadata.
  void give_mode(int directory, const char* name, mode_t mode);
  /// Remembers an entry that somebody else made.
  void note(const struct stat& st, const SideEntry& entry);
  /// Forgets all but these entries of a tree.
  void keep_only(int tree, const SideMetadata& side);
  /// Of everything that is in the tree now.
  SideMetadata list(int tree) const;
  /// Writes it next to the tree, unless there is nothing to say.
  void save(int tree) const;
  bool owners_apart() const { return owners_apart_; }

 private:
  void store(const struct stat& st, const Metadata& wanted, std::vector<sys::Xattr> missing);

  const bool owners_apart_;
  const uid_t own_uid_;
  const gid_t own_gid_;
  mutable std::mutex mutex_;  // guards entries_
  std::unordered_map<ino_t, SideEntry> entries_;
};

/// Whether this process can give files to any user; false as an ordinary user and where few ids are mapped.
bool may_give_files_away();

/// Writes side metadata next to a tree, replacing what is there.
void write_side_metadata(int tree, const SideMetadata& side);

}  // namespace cbuild
