// SPDX-License-Identifier: Apache-2.0
// Layers become trees: round trips, archives of other tools, and digests that do not fit. Hostile archives are in
// hostile_test.cc.
#include "oci/layer/unpack.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/text.h"
#include "oci/layer/pack.h"
#include "oci/layer/test_support.h"

namespace cbuild::oci::layer {
namespace {

using namespace test;

UnpackResult unpack_text(std::string_view archive, int target, const UnpackOptions& options = {}) {
  check_table(archive);
  const UniqueFd fd = memory_file(archive);
  return unpack(fd.get(), target, options);
}

std::string compress_with(const std::vector<std::string>& argv, std::string_view input) {
  const CommandResult result = run_command(argv, input, std::chrono::minutes(1), 64u << 20);
  REQUIRE(result.exit_code == 0);
  return result.out;
}

/// Everything an overlay upper may hold.
void make_full_tree(int rootfd) {
  TreeMaker maker(rootfd);
  const std::string long_name = std::string(200, 'n'),
                    deep = "deep/" + std::string(200, 'd') + "/" + std::string(200, 'e');
  maker.file("bin/su", mixed_bytes(100'000), 04755).own("bin/su", 0, 42).file("bin/ping", "elf", 0755);
  maker.xattr("bin/ping", "security.capability", capability_value()).hardlink("bin/ping6", "bin/ping");
  maker.file("closed", "secret", 0000).dir("closed-dir", 0500).dir("tmp", 01777).dir("sgid", 02775).file("sgid/f");
  maker.file(long_name, "long").file(deep, "deep").file("grüße/日本語", "utf8").file("latin1-\xe9", "bytes");
  maker.symlink("link", "../../etc/passwd").symlink("日", "日本").symlink("long-link", std::string(1000, 't'));
  maker.sparse("sparse", 5 << 20, 1 << 20, "data").file("big", mixed_bytes(3'000'000)).file("empty");
  maker.node("null", S_IFCHR | 0666, 1, 3).node("disk", S_IFBLK | 0660, 8, 17).node("pipe", S_IFIFO | 0640);
  maker.file("owned", "x").own("owned", 123456, 4'000'000'000).xattr("owned", "user.note", std::string("a\0b", 3));
  maker.whiteout("gone").whiteout("d/gone").dir("opaque").xattr("opaque", "trusted.overlay.opaque", "y");
  maker.file("opaque/new", "new").own("link", 7, 8).dir("d/e").own("d/e", 9, 10);
  for (const char* path : {"bin/su", "link", "null", "pipe", "grüße", "d", "d/e"}) maker.mtime(path, 1'234'567'890);
}

std::vector<std::string> described(int rootfd) {
  std::vector<std::string> lines = describe_tree(rootfd, {.times = true, .whole_seconds = true});
  // Whiteouts carry no times, owners or modes.
  for (std::string& line : lines) {
    if (line.ends_with(" dev 0")) line = line.substr(0, line.find(' ')) + " whiteout";
  }
  return lines;
}

TEST_CASE("a packed tree unpacks to the same tree, in every compression") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir source = TempDir::in_tmp("cbuild-unpack");
  make_full_tree(source.fd());
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    const TempDir target = TempDir::in_tmp("cbuild-unpack");
    MemoryBlobs blobs;
    PackOptions options;
    options.compression = compression;
    const PackedLayer layer = pack_layer(source.fd(), blobs, options);
    const UniqueFd blob = blobs.open(layer.descriptor.digest);
    const UnpackResult result = unpack(blob.get(), target.fd(), {}, &layer.descriptor, &layer.diff_id);
    CHECK(result.blob_digest == layer.descriptor.digest);
    CHECK(result.diff_id == layer.diff_id);
    CHECK(result.devices_as_files == 0);
    CHECK(described(target.fd()) == described(source.fd()));
    CHECK(sys::stat_at(target.fd(), "sparse").st_size == 5 << 20);
  }
}

TEST_CASE("unpacking and packing again gives the same layer") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir source = TempDir::in_tmp("cbuild-unpack"), target = TempDir::in_tmp("cbuild-unpack");
  make_full_tree(source.fd());
  MemoryBlobs blobs;
  const PackedLayer first = pack_layer(source.fd(), blobs, {});
  const UniqueFd blob = blobs.open(first.descriptor.digest);
  unpack(blob.get(), target.fd(), {});
  const PackedLayer second = pack_layer(target.fd(), blobs, {});
  CHECK(second.diff_id == first.diff_id);
  CHECK(second.descriptor == first.descriptor);
}

TEST_CASE("archives of other tools in every compression") {
  const TempDir source = TempDir::in_tmp("cbuild-unpack");
  TreeMaker(source.fd())
      .file("d/f", mixed_bytes(2'000'000))
      .symlink("l", "d/f")
      .hardlink("h", "d/f")
      .mtime("d/f", 5, 250'000'000);
  TreeMaker(source.fd())
      .sparse("sparse", 8 << 20, 4 << 20, "x")
      .mtime("d", 1000)
      .mtime("l", 2000)
      .mtime("sparse", 3000);
  const std::string tar =
      run_command({"tar", "-C", source.path(), "--format=pax", "-S", "-cf", "-", "d", "h", "l", "sparse"}).out;
  const std::vector<std::vector<std::string>> tools = {{"cat"},           {"gzip", "-9c"},
                                                       {"bzip2", "-c"},   {"xz", "-1c"},
                                                       {"zstd", "-cq"},   {"zstd", "-cq", "--no-check"},
                                                       {"zstd", "-19cq"}, {"gzip", "-1", "-c"}};
  for (const auto& argv : tools) {
    CAPTURE(join(argv, " "));
    const TempDir target = TempDir::in_tmp("cbuild-unpack");
    const std::string archive = compress_with(argv, tar);
    const UnpackResult result = unpack_text(archive, target.fd());
    CHECK(result.blob_digest == sha256(archive));
    CHECK(result.diff_id == sha256(tar));
    CHECK(result.entries == 5);
    CHECK(describe_tree(target.fd()) == describe_tree(source.fd()));
    CHECK(sys::stat_at(target.fd(), "sparse").st_blocks < 100);
    CHECK(is_archive(memory_file(archive).get()));
  }
}

TEST_CASE("several members in a row are one stream, trailing bytes are digested only") {
  const std::string tar = make_tar({file_member("f", mixed_bytes(1'500'000))});
  const std::string_view view(tar);
  for (const std::vector<std::string>& argv :
       {std::vector<std::string>{"gzip", "-c"}, {"zstd", "-cq"}, {"bzip2", "-c"}, {"xz", "-c"}}) {
    const std::string joined = compress_with(argv, view.substr(0, 700'000)) + compress_with(argv, view.substr(700'000));
    const TempDir target = TempDir::in_tmp("cbuild-unpack");
    const UnpackResult result = unpack_text(joined, target.fd());
    CHECK(result.diff_id == sha256(tar));
    CHECK(result.blob_digest == sha256(joined));
  }
  for (const std::vector<std::string>& argv : {std::vector<std::string>{"gzip", "-c"}, {"zstd", "-cq"}}) {
    const std::string padded = compress_with(argv, tar) + std::string(1000, '\0');
    const TempDir target = TempDir::in_tmp("cbuild-unpack");
    const UnpackResult result = unpack_text(padded, target.fd());
    CHECK(result.diff_id == sha256(tar));
    CHECK(result.blob_digest == sha256(padded));
  }
}

TEST_CASE("a stream from a pipe") {
  const std::string tar = make_tar({file_member("f", mixed_bytes(4'000'000)), file_member("g")});
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  std::jthread writer([&] {
    sys::write_all(write_end.get(), tar);
    write_end.reset();
  });
  const TempDir target = TempDir::in_tmp("cbuild-unpack");
  CHECK(unpack(read_end.get(), target.fd(), {}).diff_id == sha256(tar));
}

TEST_CASE("digests and sizes are checked against what was expected") {
  const std::string tar = make_tar({file_member("f", mixed_bytes(1'000'000))});
  const TempDir target = TempDir::in_tmp("cbuild-unpack");
  const auto attempt = [&](const Digest& digest, std::uint64_t size, const Digest& diff_id) {
    Descriptor expected;
    expected.digest = digest;
    expected.size = size;
    return unpack(memory_file(tar).get(), target.fd(), {}, &expected, &diff_id);
  };
  const Digest good = sha256(tar), bad = sha256("other");
  CHECK(attempt(good, tar.size(), good).entries == 1);
  CHECK_THROWS_AS(attempt(bad, tar.size(), good), Error);
  CHECK_THROWS_AS(attempt(good, tar.size() - 1, good), Error);
  CHECK_THROWS_AS(attempt(good, tar.size() + 1, good), Error);
  CHECK_THROWS_AS(attempt(good, tar.size(), bad), Error);
}

TEST_CASE("nanoseconds of PAX times are kept") {
  const TempDir source = TempDir::in_tmp("cbuild-unpack"), target = TempDir::in_tmp("cbuild-unpack");
  TreeMaker(source.fd()).file("f").mtime("f", 1'500'000'000, 123'456'789).dir("d").mtime("d", 1'400'000'000, 5);
  const std::string tar = run_command({"tar", "-C", source.path(), "--format=pax", "-cf", "-", "d", "f"}).out;
  unpack_text(tar, target.fd());
  CHECK(sys::stat_at(target.fd(), "f").st_mtim.tv_nsec == 123'456'789);
  CHECK(sys::stat_at(target.fd(), "d").st_mtim.tv_nsec == 5);
}

TEST_CASE("the owner of every entry can be replaced") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir target = TempDir::in_tmp("cbuild-unpack");
  Member owned = file_member("d/f");
  owned.entry.uid = 5;
  UnpackOptions options;
  options.owner = {1000, 1001};
  options.whiteouts = Whiteouts::keep;
  unpack_text(make_tar({dir_member("d"), owned, link_member("l", "d/f"), link_member("h", "d/f", EntryType::hardlink),
                        file_member(".wh.kept")}),
              target.fd(), options);
  for (const char* path : {"d", "d/f", "l", "h", ".wh.kept"}) {
    CAPTURE(path);
    CHECK(sys::stat_at(target.fd(), path).st_uid == 1000);
    CHECK(sys::stat_at(target.fd(), path).st_gid == 1001);
  }
}

TEST_CASE("a hard link without xattrs of its own leaves the capability alone") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir target = TempDir::in_tmp("cbuild-unpack");
  Member ping = file_member("ping", "elf", 0755);
  ping.entry.uid = 3;
  ping.entry.xattrs = {{"security.capability", capability_value()}};
  Member link = link_member("ping6", "ping", EntryType::hardlink);
  link.entry.uid = 3;
  link.entry.mode = 0755;
  unpack_text(make_tar({ping, link}), target.fd());
  const auto xattrs = sys::list_xattrs_at(target.fd(), "ping");
  CHECK(std::find(xattrs.begin(), xattrs.end(), sys::Xattr{"security.capability", capability_value()}) != xattrs.end());
}

TEST_CASE("entries replace what is there, directories merge") {
  const TempDir target = TempDir::in_tmp("cbuild-unpack");
  TreeMaker(target.fd())
      .file("was-file")
      .file("was-dir/inside")
      .symlink("was-link", "elsewhere")
      .file("elsewhere/kept");
  TreeMaker(target.fd()).file("merged/kept").symlink("dir-link", "elsewhere");
  unpack_text(make_tar({dir_member("was-file"), file_member("was-dir", "now"), file_member("was-link", "file"),
                        dir_member("merged", 0700), file_member("merged/new"), dir_member("dir-link"),
                        file_member("dir-link/x"), file_member("twice", "1"), file_member("twice", "2")}),
              target.fd());
  CHECK(S_ISDIR(sys::stat_at(target.fd(), "was-file").st_mode));
  CHECK(sys::read_file_at(target.fd(), "was-dir", 100) == "now");
  CHECK(S_ISREG(sys::stat_at(target.fd(), "was-link").st_mode));
  CHECK(sys::try_stat_at(target.fd(), "merged/kept"));
  CHECK(sys::stat_at(target.fd(), "merged").st_mode == (S_IFDIR | 0700));
  CHECK(S_ISDIR(sys::stat_at(target.fd(), "dir-link").st_mode));
  CHECK(!sys::try_stat_at(target.fd(), "elsewhere/x"));
  CHECK(sys::try_stat_at(target.fd(), "elsewhere/kept"));
  CHECK(sys::read_file_at(target.fd(), "twice", 10) == "2");
}

TEST_CASE("missing parents are made, and times of directories come last") {
  const TempDir target = TempDir::in_tmp("cbuild-unpack");
  Member dir = dir_member("a");
  dir.entry.mtime_s = 77;
  unpack_text(make_tar({dir, file_member("a/b/c/d"), dir_member("a/b", 0700), file_member("a/late")}), target.fd());
  CHECK(sys::stat_at(target.fd(), "a").st_mtime == 77);
  CHECK(sys::stat_at(target.fd(), "a/b").st_mode == (S_IFDIR | 0700));
  CHECK(sys::stat_at(target.fd(), "a/b/c").st_mode == (S_IFDIR | 0755));
  CHECK(sys::try_stat_at(target.fd(), "a/b/c/d"));
}

TEST_CASE("a cancelled unpack stops") {
  const TempDir target = TempDir::in_tmp("cbuild-unpack");
  CancelSource cancel;
  cancel.cancel();
  UnpackOptions options;
  options.cancel = &cancel;
  CHECK_THROWS_AS(unpack_text(make_tar({file_member("f")}), target.fd(), options), Error);
}

TEST_CASE("progress counts the bytes of the source") {
  const TempDir target = TempDir::in_tmp("cbuild-unpack");
  const std::string tar = make_tar({file_member("f", mixed_bytes(3'000'000))});
  std::uint64_t last = 0;
  UnpackOptions options;
  options.progress = [&](std::uint64_t bytes) {
    CHECK(bytes >= last);
    last = bytes;
  };
  unpack_text(tar, target.fd(), options);
  CHECK(last == tar.size());
}

TEST_CASE("an archive is known by its content") {
  const std::string tar = make_tar({file_member("f")});
  const auto check = [](std::string_view content) {
    const UniqueFd fd = memory_file(content);
    lseek(fd.get(), 0, SEEK_SET);
    const bool found = is_archive(fd.get());
    CHECK(lseek(fd.get(), 0, SEEK_CUR) == 0);
    return found;
  };
  CHECK(check(tar));
  CHECK(check(tar.substr(0, 1024)));
  CHECK(check(make_tar({file_member("日本語")})));
  CHECK_FALSE(check(""));
  CHECK_FALSE(check("hello"));
  CHECK_FALSE(check(std::string(10'240, '\0')));
  CHECK_FALSE(check(random_bytes(10'000)));
  CHECK_FALSE(check(compress_with({"gzip", "-c"}, "hello")));
  CHECK_FALSE(check(compress_with({"xz", "-c"}, std::string(2000, 'x'))));
  CHECK_FALSE(check(compress_with({"gzip", "-c"}, tar).substr(0, 20)));
  std::string broken = tar;
  broken[5] ^= 1;
  CHECK_FALSE(check(broken));
  const TempDir dir = TempDir::in_tmp("cbuild-unpack");
  CHECK_FALSE(is_archive(dir.fd()));
}

TEST_CASE("the newest regular file of an archive") {
  const auto dated = [](Member member, std::int64_t time) {
    member.entry.mtime_s = time;
    return member;
  };
  const Member newer_link = dated(link_member("l", "a"), 9000);
  const std::string tar = make_tar(
      {dated(file_member("a"), 1000), dated(file_member("b"), 3000), newer_link, dated(file_member("c"), 2000)});
  const auto newest = [](std::string_view content) {
    const UniqueFd fd = memory_file(content);
    lseek(fd.get(), 0, SEEK_SET);
    const auto time = newest_file_time(fd.get());
    CHECK(lseek(fd.get(), 0, SEEK_CUR) == 0);
    return time;
  };
  CHECK(newest(tar) == 3000);
  CHECK(newest(compress_with({"zstd", "-cq"}, tar)) == 3000);
  CHECK_FALSE(newest(make_tar({newer_link})).has_value());
  CHECK_FALSE(newest("no archive").has_value());
  CHECK_FALSE(newest(tar.substr(0, 700)).has_value());
}

}  // namespace
}  // namespace cbuild::oci::layer
