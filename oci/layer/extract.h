// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "oci/layer/file_maker.h"
#include "oci/layer/known_names.h"
#include "oci/layer/member_metadata.h"
#include "oci/layer/resolved_dirs.h"
#include "oci/layer/tar_reader.h"
#include "oci/layer/unpack.h"
#include "oci/layer/whiteouts.h"

namespace cbuild::oci::layer {

/// Makes the members of an archive in a directory, by descriptor, as if one after the other. Used by one thread. All
/// names but those of small files in directories that were made here are made by it alone, in the order of the archive;
/// those files are handed to a FileMaker, which is waited for before anything may notice that they are not there yet.
class Extractor {
 public:
  /// `rootfd` is borrowed.
  Extractor(int rootfd, const UnpackOptions& options);

  /// `content` stands at the member. Throws Error; the caller adds the name. Files added before may have failed first:
  /// see wait().
  void add(const TarMember& member, TarReader& content);
  /// See FileMaker.
  void end_of_chunk() { files_.end_of_chunk(); }
  /// Waits until all that was added is made. Throws Error, with the name, for the first that failed.
  void wait() { files_.wait(); }
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
  struct LateDir {
    std::string path;
    mode_t mode;
    timespec mtime;
  };

  void apply_marker(Marker marker, const Place& place);
  bool can_hand_over(const Place& place, const TarMember& member) const;
  void hand_over(const Place& place, const TarMember& member, TarReader& content);
  void make(const Place& place, const TarMember& member, TarReader& content);
  void make_directory(const Place& place, const TarMember& member);
  bool make_new_directory(const Place& place);
  void make_file(const Place& place, const TarMember& member, TarReader& content);
  void make_hardlink(const Place& place, const TarMember& member);
  void make_symlink(const Place& place, const TarMember& member);
  void make_node(const Place& place, const TarMember& member);
  UniqueFd create_file(const Place& place);
  void replace(const Place& place);
  void note_made(const TargetDir& parent, const std::string& name);

  const UnpackOptions& options_;
  const MemberMetadata metadata_;
  WhiteoutRules whiteouts_;
  KnownNames known_;
  ResolvedDirs dirs_;
  std::vector<LateDir> late_dirs_;
  std::uint64_t devices_as_files_ = 0;
  FileMaker files_;  ///< last: its threads end before the members they use
};

}  // namespace cbuild::oci::layer
