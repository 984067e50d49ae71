// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/fd.h"
#include "oci/layer/resolved_dirs.h"
#include "oci/layer/tar_reader.h"
#include "oci/layer/unpack.h"

namespace cbuild::oci::layer {

/// Pieces of a file's content, as TarReader::data() gives them.
using NextData = std::function<bool(std::span<const std::byte>& bytes, std::uint64_t& offset)>;

/// Sets the properties of a member other than its name: content, owner, xattrs, mode, times. Immutable; used by any
/// number of threads. Everything throws Error.
class MemberMetadata {
 public:
  explicit MemberMetadata(const UnpackOptions& options);

  /// Opens a new file. Nullopt if something has the name already.
  static std::optional<UniqueFd> create_file(const TargetDir& dir, const std::string& name);
  /// Writes a file that was just made in `dir`, gives it its metadata and closes it.
  void fill_file(UniqueFd file, const TarMember& member, const TargetDir& dir, const NextData& data) const;
  /// Everything but the content, for a file or directory that was just made in `dir`.
  void apply(int fd, const TarMember& member, const TargetDir& dir, mode_t mode) const;
  /// The same for entries that cannot be opened.
  void apply_by_name(const TargetDir& dir, const std::string& name, const TarMember& member) const;
  /// The same for a further name of the file that `st` describes.
  void adjust_link(const TargetDir& dir, const std::string& name, const TarMember& member, const struct stat& st) const;

 private:
  struct Owner {
    std::uint32_t uid, gid;
  };
  Owner owner_of(const TarMember& member) const;
  /// All but the times, with errors where something cannot be set.
  void set_all(int fd, const TarMember& member, const TargetDir& dir, mode_t mode) const;
  /// The same by UnpackOptions::side; `name` is empty for `dirfd` itself.
  void give(int dirfd, const char* name, const TarMember& member, mode_t type, mode_t mode) const;
  bool keeps_owner(const Owner& owner, const TargetDir& dir) const;

  const UnpackOptions& options_;
  std::uint32_t own_uid_, own_gid_;
};

timespec mtime_of(const TarMember& member);
/// Sets both times of `name` below `dirfd`, not following a symlink.
void set_times(int dirfd, const char* name, const timespec& mtime);

}  // namespace cbuild::oci::layer
