// SPDX-License-Identifier: Apache-2.0
// Tar written and read, with GNU tar as the second opinion.
#include <doctest/doctest.h>

#include <fcntl.h>

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/layer/tar_reader.h"
#include "oci/layer/tar_writer.h"
#include "oci/layer/test_support.h"

namespace cbuild::oci::layer {
namespace {

using namespace test;

std::vector<Member> read_tar(std::string_view tar, std::size_t cut = 0) {
  std::vector<Member> out;
  TarReader reader([&] {
    const std::string_view part = tar.substr(0, cut ? cut : tar.size());
    tar.remove_prefix(part.size());
    return bytes_of(part);
  });
  for (TarMember member; reader.next(member);) {
    std::string content;
    std::span<const std::byte> bytes;
    for (std::uint64_t offset = 0; reader.data(bytes, offset);) {
      content.resize(offset);
      content += text_of(bytes);
    }
    content.resize(member.entry.size);
    out.push_back({member.entry, content});
  }
  return out;
}

/// Reads `tar` back and compares; directories come back with the slash they are written with.
void check_round_trip(std::vector<Member> members) {
  const std::string tar = make_tar(members);
  CHECK(tar.size() % 512 == 0);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{512}, std::size_t{700}}) {
    const std::vector<Member> read = read_tar(tar, cut);
    REQUIRE(read.size() == members.size());
    for (std::size_t i = 0; i < read.size(); ++i) {
      TarEntry expected = members[i].entry;
      if (expected.type == EntryType::directory) expected.name += '/';
      expected.size = expected.type == EntryType::file ? members[i].content.size() : 0;
      CAPTURE(expected.name);
      CHECK(read[i].entry == expected);
      CHECK(read[i].content == members[i].content);
    }
  }
}

Member with_xattr(Member member, std::string name, std::string value) {
  member.entry.xattrs.push_back({std::move(name), std::move(value)});
  return member;
}

TEST_CASE("every kind of entry comes back as it was written") {
  Member device = link_member("dev/null", "", EntryType::char_device);
  device.entry.device_major = 1;
  device.entry.device_minor = 3;
  Member disk = link_member("dev/disk", "", EntryType::block_device);
  disk.entry.device_major = 4095;
  disk.entry.device_minor = 1048575;
  Member owned = file_member("owned", "content", 04755);
  owned.entry.uid = 1000;
  owned.entry.gid = 2097151;
  owned.entry.mtime_s = 1'700'000'000;
  check_round_trip({dir_member("dir", 01777), file_member("dir/empty", ""), owned,
                    file_member("full", std::string(512, 'x')), link_member("link", "../target"),
                    link_member("hard", "owned", EntryType::hardlink), link_member("fifo", "", EntryType::fifo), device,
                    disk, file_member("behind a device")});
}

TEST_CASE("names of every length and alphabet") {
  std::vector<Member> members;
  for (const std::size_t length : {1, 99, 100, 101, 155, 156, 157, 255, 256, 257, 1000, 4000}) {
    std::string flat(length, 'n');
    std::string deep;
    while (deep.size() + 8 < length) deep += "dir4567/";
    deep += std::string(length - deep.size(), 'f');
    members.push_back(file_member(flat));
    members.push_back(file_member(deep));
    members.push_back(dir_member(deep));
    members.push_back(link_member("to" + std::to_string(length), flat));
    members.push_back(link_member("hard" + std::to_string(length), deep, EntryType::hardlink));
  }
  check_round_trip(members);
}

TEST_CASE("names are bytes, also those that are not UTF-8") {
  check_round_trip({link_member("first", "日本語"), file_member("grüße/日本語"), file_member("latin1-\xe9\xff"),
                    file_member("with\nnewline"), file_member(" blank "), link_member("l\xff", "\xfe\xff/x"),
                    link_member("h", "grüße/日本語", EntryType::hardlink), dir_member(std::string(200, '\xe9'))});
}

TEST_CASE("numbers that ustar has no room for") {
  Member member = file_member("big");
  member.entry.uid = 4'000'000'000;
  member.entry.gid = 2'097'152;
  member.entry.mtime_s = 1ll << 36;
  Member old = file_member("old");
  old.entry.mtime_s = -86'400;
  check_round_trip({member, old});
}

TEST_CASE("xattrs with any bytes, empty and large") {
  const std::string large = random_bytes(60'000);
  check_round_trip({with_xattr(file_member("cap"), "security.capability", capability_value()),
                    with_xattr(with_xattr(file_member("two"), "user.a", "line\nline"), "user.b", std::string("\0x", 2)),
                    with_xattr(dir_member("dir"), "user.large", large),
                    with_xattr(file_member("e"), "user.empty", "")});
}

TEST_CASE("the order in which a file system lists xattrs does not count") {
  const Member plain = file_member("f", "x");
  const auto listed = [&](const char* first, const char* second) {
    return make_tar({with_xattr(with_xattr(plain, first, "value"), second, "value")});
  };
  CHECK(listed("user.a", "user.b") == listed("user.b", "user.a"));
  CHECK(listed("user.a", "security.capability") == listed("security.capability", "user.a"));
}

TEST_CASE("an xattr name with '=' cannot be written and is left out") {
  const std::vector<Member> read = read_tar(make_tar({with_xattr(file_member("f"), "user.a=b", "c")}));
  REQUIRE(read.size() == 1);
  CHECK(read[0].entry.xattrs.empty());
}

TEST_CASE("plain entries are bare ustar") {
  const std::string tar = make_tar({file_member("dir/" + std::string(99, 'n'), "x")});
  CHECK(tar.size() == 4 * 512);
  CHECK(tar.substr(257, 8) == std::string("ustar\00000", 8));
  CHECK(tar[156] == '0');
  CHECK(tar.substr(345, 4) == std::string("dir\0", 4));
}

TEST_CASE("the header of a huge file says its size") {
  std::string out;
  TarWriter writer(collect(out));
  TarEntry entry;
  entry.name = "huge";
  entry.size = 9ull << 30;
  writer.entry(entry);
  CHECK(out.find("19 size=9663676416\n") == 512);
}

TEST_CASE("GNU tar lists and extracts what was written") {
  const TempDir dir = TempDir::in_tmp("cbuild-tar");
  Member named = file_member("sub/" + std::string(120, 'l'), "long");
  named.entry.mtime_s = 1'600'000'000;
  const std::string tar = make_tar({dir_member("sub", 0750), named, file_member("grüße", "utf8"),
                                    link_member("link", "grüße"), link_member("hard", "grüße", EntryType::hardlink)});
  const CommandResult listed = run_command({"tar", "--quoting-style=literal", "-tf", "-"}, tar);
  CHECK(listed.exit_code == 0);
  CHECK(listed.err == "");
  CHECK(listed.out == "sub/\nsub/" + std::string(120, 'l') + "\ngrüße\nlink\nhard\n");
  CHECK(run_command({"tar", "-C", dir.path(), "-xpf", "-"}, tar).exit_code == 0);
  CHECK(sys::read_file_at(dir.fd(), "sub/" + std::string(120, 'l'), 100) == "long");
  CHECK(sys::stat_at(dir.fd(), "sub").st_mode == (S_IFDIR | 0750));
  CHECK(sys::stat_at(dir.fd(), named.entry.name).st_mtime == 1'600'000'000);
  CHECK(sys::stat_at(dir.fd(), "hard").st_ino == sys::stat_at(dir.fd(), "grüße").st_ino);
}

TEST_CASE("what GNU tar writes is read: long names, sparse members, old formats") {
  const TempDir dir = TempDir::in_tmp("cbuild-tar");
  const std::string deep = "d/" + std::string(150, 'x') + "/" + std::string(120, 'y');
  TreeMaker(dir.fd()).file(deep, "deep").sparse("sparse", 3 << 20, 1 << 20, "data").symlink("l", std::string(300, 't'));
  for (const std::string format : {"gnu", "pax", "oldgnu"}) {
    for (const std::string sparse : {"0.0", "0.1", "1.0"}) {
      CAPTURE(format);
      CAPTURE(sparse);
      std::vector<std::string> argv = {"tar", "-C", dir.path(), "--format=" + format, "-S", "--sort=name"};
      if (format == "pax") argv.push_back("--sparse-version=" + sparse);
      argv.insert(argv.end(), {"-cf", "-", "d", "l", "sparse"});
      const std::vector<Member> read = read_tar(run_command(argv).out);
      REQUIRE(read.size() == 5);
      CHECK(read[2].entry.name == deep);
      CHECK(read[2].content == "deep");
      CHECK(read[3].entry.link_target == std::string(300, 't'));
      CHECK(read[4].entry.name == "sparse");
      CHECK(read[4].content.size() == 3 << 20);
      CHECK(read[4].content.substr((1 << 20) - 1, 6) == std::string("\0data\0", 6));
    }
  }
}

TEST_CASE("what is not a tar is an error, not an empty archive") {
  const std::string tar = make_tar({file_member("a", std::string(5000, 'x')), file_member("b")});
  CHECK_THROWS_AS(read_tar(random_bytes(10'000)), Error);
  CHECK_THROWS_AS(read_tar("short"), Error);
  CHECK_THROWS_AS(read_tar(tar.substr(0, 3000)), Error);
  CHECK_THROWS_AS(read_tar(tar.substr(0, 700)), Error);
  std::string broken = tar;
  broken[512 + 5120 + 10] ^= 1;  // in the second header
  CHECK_THROWS_AS(read_tar(broken), Error);
  CHECK(read_tar("").empty());
  CHECK(read_tar(std::string(1024, '\0')).empty());
}

TEST_CASE("bytes behind the end blocks are nobody's") {
  CHECK(read_tar(make_tar({file_member("a")}) + random_bytes(4096)).size() == 1);
}

TEST_CASE("ids and devices out of range are refused") {
  Member member = file_member("f");
  member.entry.uid = 1ull << 32;
  CHECK_THROWS_AS(read_tar(make_tar({member})), Error);
  Member device = link_member("d", "", EntryType::char_device);
  device.entry.device_major = 4096;
  CHECK_THROWS_AS(read_tar(make_tar({device})), Error);
}

TEST_CASE("an error of the source passes through the reader") {
  const auto fail = []() -> std::span<const std::byte> { throw Error(ErrorCode::network, "gone"); };
  TarReader reader(fail);
  TarMember member;
  try {
    reader.next(member);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::network);
  }
}

}  // namespace
}  // namespace cbuild::oci::layer
