// SPDX-License-Identifier: Apache-2.0
#include "cache/user_files.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.h"

namespace cbuild::cache {

namespace {

constexpr std::array<std::string_view, 2> kPaths = {"etc/passwd", "etc/group"};
constexpr std::uint64_t kLargest = 1u << 20;
constexpr std::size_t kMost = 8;  ///< of one archive, which may name them again and again

bool is_one(const oci::layer::TarMember& member) {
  if (member.entry.type != oci::layer::EntryType::file || member.entry.size > kLargest) return false;
  const std::string path = clean_path(cat("/", member.entry.name)).substr(1);
  return std::find(kPaths.begin(), kPaths.end(), path) != kPaths.end();
}

}  // namespace

void UserFiles::add(const oci::layer::TarMember& member) {
  wanted_ = found_.size() < kMost && is_one(member);
  start_ = 0;
}

// Nobody writes these with holes; one that has some is not kept, because finish() wants a single piece.
void UserFiles::data(std::span<const std::byte> bytes, std::uint64_t archive_offset) {
  if (!wanted_ || bytes.empty()) return;
  if (start_ == 0) start_ = archive_offset;
  found_[start_].append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void UserFiles::finish(KeptTable& kept) {
  for (const std::string_view path : kPaths) {
    const std::uint32_t index = kept.table.find(path);
    if (index == oci::layer::LayerTable::kNone) continue;
    oci::layer::TableNode& node = kept.table.nodes[index];
    if (node.type != oci::layer::EntryType::file || node.extents.size() != 1) continue;
    const auto content = found_.find(node.extents[0].archive_offset);
    if (content == found_.end() || content->second.size() != node.size) continue;
    node.content = sha256(content->second);
    kept.files.emplace(*node.content, content->second);
  }
}

}  // namespace cbuild::cache
