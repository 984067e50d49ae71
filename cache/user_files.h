// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "cache/kept_table.h"
#include "oci/layer/tar_reader.h"

namespace cbuild::cache {

/// The files by which names of users and groups become numbers, kept from the pass that makes a layer's table: COPY
/// --chown=NAME needs nothing else of a base. Used by one thread.
class UserFiles {
 public:
  /// A member of the archive, and a piece of the content of the member added last.
  void add(const oci::layer::TarMember& member);
  void data(std::span<const std::byte> bytes, std::uint64_t archive_offset);
  /// Adds those that the table ended up with, and their digests in the table.
  void finish(KeptTable& kept);

 private:
  bool wanted_ = false;
  std::uint64_t start_ = 0;                     ///< of the member's content
  std::map<std::uint64_t, std::string> found_;  ///< contents by where they begin in the archive
};

}  // namespace cbuild::cache
