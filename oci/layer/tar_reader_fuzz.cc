// SPDX-License-Identifier: Apache-2.0
// Reads hostile headers without touching a disk; their checksums are made right first, or mutations would end there.
// The first byte chooses how the stream is cut into pieces, which must not change the members; and the members come
// back the same from an archive that is written of it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "oci/layer/tar_reader.h"

namespace {

using namespace cbuild;
using namespace cbuild::oci::layer;

constexpr std::uint64_t kMaxContent = 1u << 16;
constexpr std::int64_t kMaxTime = std::int64_t{1} << 40;

struct Member {
  TarMember head;
  std::string content;  ///< up to kMaxContent, holes filled

  bool is_whole() const { return head.entry.size == content.size(); }
};

/// The members up to the end or the first error.
struct Archive {
  std::vector<Member> members;
  bool broken = false;
};

void take_piece(Member& member, std::span<const std::byte> bytes, std::uint64_t offset) {
  if (offset >= kMaxContent || bytes.empty()) return;
  const std::size_t count = std::min<std::size_t>(bytes.size(), kMaxContent - offset);
  member.content.resize(std::max<std::size_t>(member.content.size(), offset + count));
  std::copy_n(reinterpret_cast<const char*>(bytes.data()), count, member.content.begin() + static_cast<long>(offset));
}

Archive read(std::span<const std::byte> input, std::size_t piece) {
  Archive out;
  TarReader reader([&] {
    const auto part = input.first(std::min(piece, input.size()));
    input = input.subspan(part.size());
    return part;
  });
  try {
    Member member;
    while (reader.next(member.head)) {
      CBUILD_CHECK(member.head.mtime_ns >= 0 && member.head.mtime_ns < 1'000'000'000);
      CBUILD_CHECK((member.head.entry.mode & ~07777u) == 0);
      if (member.head.entry.type == EntryType::directory)
        while (member.head.entry.name.ends_with('/')) member.head.entry.name.pop_back();
      member.content.clear();
      std::span<const std::byte> bytes;
      std::uint64_t offset = 0, end = 0;
      while (reader.data(bytes, offset)) {
        CBUILD_CHECK(offset >= end && bytes.size() <= member.head.entry.size - offset);
        end = offset + bytes.size();
        take_piece(member, bytes, offset);
      }
      if (member.head.entry.size <= kMaxContent) member.content.resize(member.head.entry.size);
      out.members.push_back(member);
    }
  } catch (const Error& error) {
    CBUILD_CHECK(error.code() == ErrorCode::corrupt);
    out.broken = true;
  }
  return out;
}

bool same(const Archive& a, const Archive& b) {
  const auto same_member = [](const Member& x, const Member& y) {
    return x.head.entry == y.head.entry && x.head.mtime_ns == y.head.mtime_ns && x.content == y.content;
  };
  return a.broken == b.broken &&
         std::equal(a.members.begin(), a.members.end(), b.members.begin(), b.members.end(), same_member);
}

void correct_checksums(std::vector<std::byte>& bytes) {
  constexpr std::size_t kBlock = 512, kMagic = 257, kField = 148, kFieldSize = 8;
  for (std::size_t at = 0; at + kBlock <= bytes.size(); at += kBlock) {
    const auto block = std::span(bytes).subspan(at, kBlock);
    if (std::memcmp(block.data() + kMagic, "ustar", 5) != 0) continue;
    std::fill_n(block.begin() + kField, kFieldSize, std::byte{' '});
    unsigned sum = 0;
    for (const std::byte byte : block) sum += std::to_integer<unsigned>(byte);
    char text[kFieldSize];
    std::snprintf(text, sizeof text, "%06o", sum);
    std::memcpy(block.data() + kField, text, 7);
  }
}

/// Whether the writer promises to write it: other names are cleaned by readers before that.
bool is_plain(const Member& member) {
  const TarEntry& entry = member.head.entry;
  const bool named = !entry.name.empty() && !entry.name.starts_with('/') && !entry.name.ends_with('/');
  const bool linked = entry.type != EntryType::symlink && entry.type != EntryType::hardlink;
  const bool xattrs = std::all_of(entry.xattrs.begin(), entry.xattrs.end(), [](const sys::Xattr& xattr) {
    return !xattr.name.empty() && xattr.name.find('=') == std::string::npos;
  });
  const bool timed = entry.mtime_s > -kMaxTime && entry.mtime_s < kMaxTime;
  return named && timed && xattrs && (linked || !entry.link_target.empty()) && member.is_whole() &&
         (entry.type == EntryType::file || entry.size == 0);
}

void check_round_trip(const Archive& archive) {
  Archive plain;
  std::string bytes;
  TarWriter writer(
      [&](std::span<const std::byte> part) { bytes.append(reinterpret_cast<const char*>(part.data()), part.size()); });
  for (const Member& member : archive.members) {
    if (!is_plain(member)) continue;
    plain.members.push_back(member);
    plain.members.back().head.mtime_ns = 0;
    writer.entry(member.head.entry);
    writer.data(std::as_bytes(std::span(member.content)));
  }
  writer.finish();
  CBUILD_CHECK(same(read(std::as_bytes(std::span(bytes)), bytes.size()), plain));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto raw = std::as_bytes(std::span(data + 1, size - 1));
  std::vector<std::byte> input(raw.begin(), raw.end());
  correct_checksums(input);
  const Archive archive = read(input, input.size());
  CBUILD_CHECK(same(archive, read(input, 1 + data[0])));
  check_round_trip(archive);
  return 0;
}
