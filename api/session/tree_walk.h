// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"

namespace cbuild::api {

/// A tree of this machine, gone through together with the sorted list of the entries that it shall have. Only
/// descriptors of directories are followed, and none through a symbolic link. Not thread-safe; nobody else changes the
/// tree.
class TreeWalk {
 public:
  /// `root_fd` is borrowed. A path has at most `depth` parts.
  TreeWalk(int root_fd, std::size_t depth);

  /// A place for an entry: the directory it is in, its name there, and what is there now.
  struct Place {
    int dirfd;
    std::string name;
    std::optional<struct stat> here;
    std::size_t parent;  ///< the number that enter() was given for the directory; kRoot for the root
  };
  static constexpr std::size_t kRoot = static_cast<std::size_t>(-1);

  /// Goes on to the next path of the list, a clean relative one, and removes what is before it and not in the list.
  /// Throws Error{input} unless the list is sorted and its directories come before what is in them. The place is valid
  /// until the next call.
  Place next(const std::string& path);
  /// The entry of the last next() is a directory now, and what is in it may follow. It gets rights to it for the owner.
  void enter(const Place& place, const std::string& path, std::size_t number);
  /// Removes what is left.
  void end();
  /// The numbers of the directories from which something was removed; the same one may come twice.
  std::vector<std::size_t> take_changed() { return std::move(changed_); }

 private:
  struct Level {
    UniqueFd fd;
    std::string path;  ///< "" for the root
    std::size_t number;
    std::vector<std::string> names;  ///< there are now, sorted
    std::size_t at = 0;              ///< those before are done with
    std::string last;                ///< of the list
  };
  void leave();
  void remove(Level& level);

  std::size_t depth_;
  std::vector<Level> levels_;
  std::vector<std::size_t> changed_;
};

/// Opens a directory below `root_fd`, "" being that, part by part and not through a symbolic link. `path` is clean and
/// relative. Throws Error.
UniqueFd open_directory(int root_fd, const std::string& path);

}  // namespace cbuild::api
