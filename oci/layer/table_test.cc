// SPDX-License-Identifier: Apache-2.0
// Tables next to trees on disk: cases that the tests of unpack() do not have, and archives made at random of the names,
// links and marks that get into each other's way.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/test_skip.h"
#include "base/text.h"
#include "oci/layer/table_recorder.h"
#include "oci/layer/test_support.h"

namespace cbuild::oci::layer {
namespace {

using namespace test;

LayerTable table_of(std::string_view archive) {
  TableOptions options;
  options.content_digests = true;
  return read_table(memory_file(archive).get(), options, {});
}

Member owned(Member member, std::uint64_t uid, std::uint64_t gid, mode_t mode) {
  member.entry.uid = uid;
  member.entry.gid = gid;
  member.entry.mode = mode;
  member.entry.mtime_s = 1'000'000 + static_cast<std::int64_t>(uid);
  return member;
}

Member with_xattrs(Member member, std::vector<sys::Xattr> xattrs) {
  member.entry.xattrs = std::move(xattrs);
  return member;
}

Member device(std::string name, EntryType type, std::uint32_t major, std::uint32_t minor) {
  Member member = file_member(std::move(name));
  member.entry.type = type;
  member.entry.device_major = major;
  member.entry.device_minor = minor;
  return member;
}

TEST_CASE("a table says where the content of a file lies") {
  const std::string archive =
      make_tar({dir_member("d"), file_member("d/a", "first"), file_member("d/b", mixed_bytes(2'000'000))});
  const LayerTable table = table_of(archive);
  const TableNode& a = table.nodes[table.find("d/a")];
  REQUIRE(a.extents.size() == 1);
  CHECK(archive.substr(a.extents[0].archive_offset, a.extents[0].size) == "first");
  CHECK(a.content == sha256("first"));
  const TableNode& b = table.nodes[table.find("d/b")];
  REQUIRE(b.extents.size() == 1);
  CHECK(archive.substr(b.extents[0].archive_offset, b.size) == mixed_bytes(2'000'000));
  CHECK(table.diff_id == sha256(archive));
  CHECK(table.archive_size == archive.size());
}

TEST_CASE("paths of a table are found by their components") {
  const LayerTable table = table_of(make_tar({file_member("a/b/c"), file_member("a.b"), file_member("z")}));
  CHECK(table.find("") == LayerTable::kRoot);
  CHECK(table.nodes[table.find("a/b")].is_directory());
  CHECK(table.nodes[table.find("a/b")].implied);
  CHECK(table.nodes[table.find("a/b/c")].type == EntryType::file);
  for (const char* missing : {"b", "a/c", "a/b/c/d", "z/z", "a/b/cc"}) {
    CAPTURE(missing);
    CHECK(table.find(missing) == LayerTable::kNone);
  }
}

TEST_CASE("owners, set-id bits, capabilities and xattrs come out as on disk") {
  const sys::Xattr capability{"security.capability", capability_value()};
  check_table(
      make_tar({owned(dir_member("s"), 5, 6, 02755), file_member("s/implied/deep/f"),
                owned(dir_member("s"), 7, 8, 0755), file_member("s/other/f"), owned(dir_member("s"), 7, 8, 0500),
                with_xattrs(owned(file_member("cap"), 1, 2, 0755), {capability}),
                owned(link_member("cap2", "cap", EntryType::hardlink), 1, 2, 0755),
                owned(link_member("cap3", "cap", EntryType::hardlink), 3, 2, 06755),
                with_xattrs(link_member("l", "t"), {{"user.no", "x"}, {"security.yes", "x"}}),
                with_xattrs(dir_member("x"), {{"user.a", "1"}, {"foo.bar", "2"}}),
                with_xattrs(dir_member("x"), {{"user.b", "2"}, {"user.a", "3"}}),
                with_xattrs(device("fifo", EntryType::fifo, 0, 0), {{"user.no", "x"}}),
                owned(device("suid", EntryType::fifo, 0, 0), 1, 1, 06711),
                owned(link_member("suid2", "suid", EntryType::hardlink), 2, 1, 0600),
                device("null", EntryType::char_device, 1, 3), device("white", EntryType::char_device, 0, 0),
                device("disk", EntryType::block_device, 259, 70000)}));
  for (const sys::Xattr& bad : std::vector<sys::Xattr>{
           {"security.capability", "short"}, {"user.", "x"}, {"security.", "x"}, {std::string(300, 'n'), "x"}}) {
    CAPTURE(bad.name);
    check_table(make_tar({with_xattrs(file_member("f"), {bad})}));
  }
}

TEST_CASE("late modes and times of directories follow the names as they are at the end") {
  check_table(make_tar({dir_member("a"), dir_member("b/d"), link_member("l", "a"), owned(dir_member("l/d"), 1, 1, 0500),
                        link_member("l", "b"), owned(dir_member("gone"), 1, 1, 0100), file_member("gone")}));
  check_table(make_tar({file_member("d/f"), link_member("d", "d/f", EntryType::hardlink)}));
  check_table(make_tar(
      {link_member("dangling", "x/y/../z"), file_member("dangling/f"), link_member("long", std::string(4096, 't'))}));
  check_table(make_tar({link_member("long", std::string(4095, 't'))}));
}

TEST_CASE("archives of other tools have the same table as tree") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir dir = TempDir::in_tmp("cbuild-table");
  TreeMaker(dir.fd())
      .sparse("sparse", 9 << 20, 3 << 20, mixed_bytes(70'000))
      .sparse("empty-sparse", 1 << 20, (1 << 20) - 1, "x")
      .hardlink("h", "sparse")
      .file(std::string(200, 'n') + "/" + std::string(150, 'm'), "x")
      .mtime("sparse", -5, 250'000'000)
      .file("latin1-\xe9", "bytes");
  for (const char* format : {"pax", "gnu", "ustar"}) {
    CAPTURE(format);
    const CommandResult tar = run_command({"tar", "-C", dir.path(), cat("--format=", format), "-S", "-cf", "-", "."});
    check_table(tar.out);
  }
}

/// Members at random of a few names, so that they replace, link to and hide each other.
std::vector<Member> random_members(std::mt19937& random) {
  static const std::vector<std::string> kNames = {"a",   "b",   "c",     "a/b",  "a/c",    "a/b/c", "b/a",
                                                  "l/a", "l/b", "m/l/c", "../a", "a/../b", "c/c/c"};
  const auto any = [&](std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random); };
  std::vector<Member> out;
  for (std::size_t left = 4 + any(14); left > 0; --left) {
    const std::string &name = kNames[any(kNames.size())], &other = kNames[any(kNames.size())];
    const std::size_t slash = name.rfind('/') == std::string::npos ? 0 : name.rfind('/') + 1;
    switch (any(9)) {
      case 0:
      case 1:
        out.push_back(owned(file_member(name, other), any(3), any(3), any(2) == 0 ? 06755 : 0640));
        break;
      case 2:
      case 3:
        out.push_back(owned(dir_member(name), any(3), any(3), any(2) == 0 ? 02755 : 0511));
        break;
      case 4:
        out.push_back(link_member(any(2) == 0 ? "l" : "m", any(2) == 0 ? "/" + other : other));
        break;
      case 5:
        out.push_back(owned(link_member(name, other, EntryType::hardlink), any(2), any(2), 0755));
        break;
      case 6:
        out.push_back(file_member(name.substr(0, slash) + ".wh." + name.substr(slash)));
        break;
      case 7:
        out.push_back(file_member(name.substr(0, slash) + ".wh..wh..opq"));
        break;
      default:
        out.push_back(link_member(name, other));
    }
  }
  return out;
}

TEST_CASE("archives made at random have the same table as tree") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::vector<Member> members = random_members(random);
    // Many end early; each beginning of such an archive is one of its own.
    check_table(make_tar(members));
    members.resize(members.size() / 2);
    check_table(make_tar(members));
  }
}

}  // namespace
}  // namespace cbuild::oci::layer
