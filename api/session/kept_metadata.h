// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <string>

#include "api/session/file_stat.h"
#include "base/sys.h"

namespace cbuild::api {

/// Which metadata of a client's files this process and this file system can keep. What they cannot is neither set nor
/// compared: otherwise every file would look changed.
struct KeptMetadata {
  bool owners = false;        ///< CAP_CHOWN
  bool devices = false;       ///< CAP_MKNOD
  bool user_xattrs = false;   ///< "user.*"
  bool capabilities = false;  ///< "security.capability"

  /// Found out by capabilities, and with an attribute set on `directory_fd`.
  static KeptMetadata probe(int directory_fd);
  bool keeps(const sys::Xattr& xattr) const;
  /// Without what is not kept, permissions of symbolic links included.
  FileStat kept_of(FileStat entry) const;
};

/// The entry `name` of a directory, as stat(2) sees it, is `entry`; both without what is not kept. Not for hard links.
bool is_same_entry(int dirfd, const std::string& name, const struct stat& here, const FileStat& entry,
                   const KeptMetadata& kept);

/// Sets owner, permissions, attributes and time of a file or directory that is open, or of a symbolic link, FIFO or
/// device by its name. Throws Error.
void set_metadata(int fd, const FileStat& entry, const KeptMetadata& kept);
void set_metadata_at(int dirfd, const std::string& name, const FileStat& entry, const KeptMetadata& kept);

std::int64_t mtime_ns(const struct stat& st);

}  // namespace cbuild::api
