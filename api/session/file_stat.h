// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/sys.h"

namespace fsutil::types {
class Stat;
}

namespace cbuild::api {

/// An entry of a tree, as it is sent.
struct FileStat {
  std::string path;  ///< relative, clean
  mode_t mode = 0;   ///< as in stat(2), with the type
  uid_t uid = 0;
  gid_t gid = 0;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::string link;  ///< of a symbolic link; of a regular file: the path of the file that it is a hard link to
  unsigned major = 0, minor = 0;
  std::vector<sys::Xattr> xattrs;  ///< by name
};

/// Between stat(2) and Go's os.FileMode. Throws Error{input} for a type that has no equivalent here.
mode_t mode_from_go(std::uint32_t mode);
std::uint32_t mode_to_go(mode_t mode);

/// Throws Error{input} for a message that no entry can be made of: its path is not a clean relative one, a part of it
/// is longer than 255 bytes, its mode or size is wrong.
FileStat from_message(const ::fsutil::types::Stat& message);
void to_message(const FileStat& entry, ::fsutil::types::Stat& message);

}  // namespace cbuild::api
