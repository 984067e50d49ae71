// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "oci/layer/member_metadata.h"

namespace cbuild::oci::layer {

/// A file to be made under a name that is free, with all of its content.
struct NewFile {
  struct Piece {
    std::span<const std::byte> bytes;
    std::uint64_t offset = 0;
    std::shared_ptr<const void> keep;  ///< owner of the bytes
  };
  SharedDir dir;
  std::string name;
  TarMember member;
  std::vector<Piece> pieces;
};

/// Makes files, several at once on threads of its own. Used by one thread, which helps where more wait than should;
/// files are made in any order.
class FileMaker {
 public:
  /// `threads` besides the calling one, started when there is work for them; fewer where a limit leaves no room. Unset:
  /// as many as are worth it on this machine, and only for archives of more than a chunk. `metadata` is borrowed.
  FileMaker(const MemberMetadata& metadata, std::optional<unsigned> threads);
  /// Drops files that have not begun.
  ~FileMaker();
  FileMaker(const FileMaker&) = delete;
  FileMaker& operator=(const FileMaker&) = delete;

  void add(NewFile file);
  /// To be called before the stream goes on to its next chunk: files added are handed over, which releases their memory
  /// after a while.
  void end_of_chunk();
  /// Waits until all are made. Throws the failure of the earliest of them, with its name.
  void wait();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::oci::layer
