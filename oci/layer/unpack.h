// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/side/side_metadata.h"
#include "oci/compression/byte_source.h"
#include "oci/descriptor.h"

namespace cbuild::oci::layer {

/// How whiteouts are stored on disk.
enum class Whiteouts {
  overlay,  ///< char 0:0 devices and the opaque xattr, for a directory that becomes an overlay lower
  apply,    ///< deletes in the target at once, for a flat tree
  keep,     ///< not special; for archives that are not layers (ADD)
};

struct UnpackOptions {
  Whiteouts whiteouts = Whiteouts::overlay;
  bool user_xattr = false;  ///< user.overlay.* instead of trusted.overlay.* (unprivileged overlay mounts)
  std::uint64_t max_bytes = 1ull << 42;
  const CancelSource* cancel = nullptr;
  std::function<void(std::uint64_t bytes_read)> progress;
  /// For ADD: ownership of every entry is replaced, if set.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> owner;
  /// For ADD: receives the paths of directories that are members, as opposed to parents that had to be made. Borrowed.
  std::set<std::string>* directories = nullptr;
  /// How many threads make files besides the calling one, which reads the archive. Unset: as many as are worth it.
  std::optional<unsigned> threads;
  /// Takes what entries cannot be given here: owners, devices, capabilities. Null: an owner that cannot be given is an
  /// error, the rest is left out. Borrowed.
  SideRecorder* side = nullptr;
};

struct UnpackResult {
  Digest blob_digest;              ///< of all bytes read from the source, trailing ones included
  Digest diff_id;                  ///< of the uncompressed stream
  std::uint64_t archive_size = 0;  ///< bytes of the uncompressed stream
  std::uint64_t entries = 0;
  std::uint64_t devices_as_files = 0;  ///< devices that may not be made here and are empty files
};

/// Reads a tar stream (plain, gzip, zstd, bzip2, xz by content; several members too) into `target_dirfd`. Hostile input
/// is expected: names are walked by descriptor, never out of the target; symlinks on the way to an entry are resolved
/// inside the target, as if it were "/" (what containerd and chroot'ed tar do), the last part never; absolute names and
/// ".." are cleaned. An entry replaces an existing one, a directory merges with a directory. Ownership, modes, xattrs
/// (not trusted.* and overlay's), hard links, devices and times are restored. Whiteouts act on entries that were there
/// before, whatever their place in the archive. Verifies against `expected` (digest and size) while streaming, if
/// given; an empty digest is for somebody else to verify, and `blob_digest` stays empty then. Throws Error{corrupt}
/// with the entry's name.
UnpackResult unpack(ByteSource source, int target_dirfd, const UnpackOptions& options,
                    const Descriptor* expected = nullptr, const Digest* expected_diff_id = nullptr);

/// Whether the content starts like a tar archive in a compression unpack() reads (ADD's auto-extraction rule). Regular
/// files only; the descriptor's offset is left alone.
bool is_archive(int fd);

/// Newest modification time, in seconds since the epoch, of the regular files in such an archive; nullopt if there is
/// none, or the content is not an archive or a broken one. The descriptor's offset is left alone.
std::optional<std::int64_t> newest_file_time(int fd);

}  // namespace cbuild::oci::layer
