// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"

/// The seal of a mounted layer: a small file, written last, that binds the others of snapshots/<id>.
namespace cbuild::cache {

/// A file that holds content of a mounted layer, as it was when it was sealed.
struct SealedFile {
  std::string name;
  std::uint64_t size = 0;
  Digest digest;     ///< of an archive, its diff id; of other content, digest_content()
  std::string stat;  ///< stat data by which it is known to be unchanged

  bool operator==(const SealedFile&) const = default;
};

struct Seal {
  /// Whether the content is a layer's archive, which is one file, or files of contents that other layers may have as
  /// hard links too.
  enum class Kind { archive, contents } kind = Kind::archive;
  Digest image;   ///< of the file `image`
  Digest places;  ///< of the file `places`, for Kind::contents
  std::vector<SealedFile> files;

  bool operator==(const Seal&) const = default;
};

/// Names in the directory of a mounted layer.
inline constexpr char kSealName[] = "mounted", kImageName[] = "image", kArchiveName[] = "archive";
/// Makes a file there.
UniqueFd new_layer_file(int dirfd, const std::string& name);

/// Throws Error.
void write_seal(int dirfd, const Seal& seal);
/// nullopt if there is none, or not one that can be read.
std::optional<Seal> read_seal(int dirfd);
/// Describes a finished file.
SealedFile seal_file(Seal::Kind kind, std::string name, int fd, const Digest& digest);
/// The files with content, in order; nullopt if one is not as it was sealed. A file that only looks otherwise (its
/// layer was copied to another disk) is digested once, and noted as it looks now. Throws Error where one cannot be
/// opened.
std::optional<std::vector<UniqueFd>> open_sealed(int dirfd, Seal seal);
/// The bytes of a file as a digest; empty if it ends before `size` or cannot be read.
Digest digest_bytes(int fd, std::uint64_t size);

}  // namespace cbuild::cache
