// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace cbuild::supply {

/// The files of an image, as a scan reads them: paths are relative to the root, "" is the root. Seam.
class FileTree {
 public:
  virtual ~FileTree() = default;

  struct Entry {
    std::string name;
    bool is_directory = false, is_file = false;  ///< links are neither
    bool is_executable = false;
    std::uint64_t size = 0;
  };
  /// Sorted by name. Of a real directory: no link is followed.
  virtual std::vector<Entry> list(const std::string& directory) = 0;
  /// The content of a file, links followed inside of the root; nullopt if it is missing, not a file, or larger than
  /// `limit`.
  virtual std::optional<std::string> read(const std::string& path, std::size_t limit) = 0;
  /// Calls `use` with a reader of parts of a listed file: `size` bytes from `offset` on, fewer at the end.
  virtual void with_parts(
      const std::string& path,
      const std::function<void(const std::function<std::string(std::uint64_t, std::size_t)>&)>& use) = 0;
};

}  // namespace cbuild::supply
