// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/sys.h"
#include "oci/compression/compression.h"

namespace cbuild::oci::layer {

enum class EntryType { file, directory, symlink, hardlink, fifo, char_device, block_device };

/// One member of a tar archive; `name` relative, without trailing slash.
struct TarEntry {
  std::string name, link_target;
  EntryType type = EntryType::file;
  mode_t mode = 0;  ///< permission bits incl. setuid, setgid, sticky
  std::uint64_t uid = 0, gid = 0, size = 0;
  std::int64_t mtime_s = 0;
  std::uint32_t device_major = 0, device_minor = 0;
  std::vector<sys::Xattr> xattrs;

  bool operator==(const TarEntry&) const = default;
};

/// Writes POSIX ustar with PAX records only where ustar cannot say it (long or non-ASCII names, big ids and sizes,
/// xattrs as SCHILY.xattr). Deterministic: no user or group names, no atime or ctime. An xattr whose name holds '=' has
/// no form in PAX that readers agree on and is left out.
class TarWriter {
 public:
  explicit TarWriter(ByteSink sink);
  /// Header of one entry; for files exactly `size` bytes of data() must follow.
  void entry(const TarEntry& entry);
  void data(std::span<const std::byte> bytes);
  /// Counts `count` bytes of the current file's data that the caller brought to the sink's place himself.
  void data_written(std::uint64_t count);
  /// Pads the current file, then the two end blocks.
  void finish();

 private:
  void pad();
  ByteSink sink_;
  std::uint64_t remaining_ = 0, written_ = 0;
};

}  // namespace cbuild::oci::layer
