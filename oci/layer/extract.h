// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "oci/layer/resolved_dirs.h"
#include "oci/layer/tar_reader.h"
#include "oci/layer/unpack.h"
#include "oci/layer/whiteouts.h"

namespace cbuild::oci::layer {

/// Makes the members of an archive in a directory, by descriptor. Used by one thread.
class Extractor {
 public:
  /// Pieces of a file's content, as TarReader::data() gives them.
  using NextData = std::function<bool(std::span<const std::byte>& bytes, std::uint64_t& offset)>;

  /// `rootfd` is borrowed.
  Extractor(int rootfd, const UnpackOptions& options);

  /// Throws Error; the caller adds the name.
  void add(const TarMember& member, const NextData& data);
  /// Sets times and closed modes of directories, which can only be set when nothing is made in them any more.
  void finish();
  std::uint64_t devices_as_files() const { return devices_as_files_; }

 private:
  struct Place {
    SharedDir dir;
    std::string name, path;
    const char* c_name() const { return name.c_str(); }
    int fd() const { return dir->fd.get(); }
  };
  struct Owner {
    std::uint32_t uid, gid;
  };
  struct LateDir {
    std::string path;
    mode_t mode;
    timespec mtime;
  };

  void make(const Place& place, const TarMember& member, const NextData& data);
  void make_directory(const Place& place, const TarMember& member);
  void make_file(const Place& place, const TarMember& member, const NextData& data);
  void make_hardlink(const Place& place, const TarMember& member);
  void make_symlink(const Place& place, const TarMember& member);
  void make_node(const Place& place, const TarMember& member);
  UniqueFd create_file(const Place& place);
  void replace(const Place& place);
  Owner owner_of(const TarMember& member) const;
  bool keeps_owner(const Owner& owner, const TargetDir& dir) const;
  void apply_metadata(int fd, const TarMember& member, const TargetDir& dir, mode_t mode) const;
  void apply_metadata_by_name(const Place& place, const TarMember& member) const;
  void adjust_link(const Place& place, const TarMember& member, const struct stat& st) const;

  const UnpackOptions& options_;
  WhiteoutRules whiteouts_;
  ResolvedDirs dirs_;
  std::vector<LateDir> late_dirs_;
  std::uint32_t own_uid_, own_gid_;
  std::uint64_t devices_as_files_ = 0;
};

}  // namespace cbuild::oci::layer
