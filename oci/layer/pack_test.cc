// SPDX-License-Identifier: Apache-2.0
// Trees become layers: the list of members, their metadata, and the same bytes whatever the number of threads.
#include "oci/layer/pack.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/text.h"
#include "oci/blob_store_suite.h"
#include "oci/layer/tar_reader.h"
#include "oci/layer/test_support.h"

namespace cbuild::oci::layer {
namespace {

using namespace test;

struct Packed {
  PackedLayer layer;
  std::string blob;
};

Packed pack(int dirfd, const PackOptions& options = {}) {
  MemoryBlobs blobs;
  Packed out{pack_layer(dirfd, blobs, options), ""};
  CHECK(blobs.count() == 1);
  out.blob = blobs.content(out.layer.descriptor.digest);
  return out;
}

std::string pack_tar(int dirfd, PackOptions options = {}) {
  options.compression = Compression::none;
  return pack(dirfd, options).blob;
}

/// "name type" of every member, in order.
std::vector<std::string> list(std::string_view tar) {
  std::vector<std::string> out;
  TarReader reader([&] { return bytes_of(std::exchange(tar, {})); });
  for (TarMember member; reader.next(member);) {
    const TarEntry& entry = member.entry;
    out.push_back(entry.link_target.empty() ? entry.name : cat(entry.name, " -> ", entry.link_target));
  }
  return out;
}

std::vector<TarEntry> entries(std::string_view tar) {
  std::vector<TarEntry> out;
  TarReader reader([&] { return bytes_of(std::exchange(tar, {})); });
  for (TarMember member; reader.next(member);) out.push_back(member.entry);
  return out;
}

using Names = std::vector<std::string>;

TEST_CASE("an empty tree is the empty layer") {
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  const Packed packed = pack(dir.fd());
  CHECK(packed.layer.diff_id.str() == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
  CHECK(packed.layer.uncompressed_size == 1024);
  CHECK(packed.layer.descriptor.size == packed.blob.size());
}

TEST_CASE("the descriptor is the blob's and the diff id the tar's") {
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  TreeMaker(dir.fd()).file("small", "x").file("large", mixed_bytes(3'000'000)).dir("d");
  const std::string tar = pack_tar(dir.fd());
  const std::pair<Compression, std::vector<std::string>> tools[] = {
      {Compression::gzip, {"gzip", "-dc"}}, {Compression::zstd, {"zstd", "-dcq"}}, {Compression::none, {"cat"}}};
  for (const auto& [compression, argv] : tools) {
    PackOptions options;
    options.compression = compression;
    const Packed packed = pack(dir.fd(), options);
    CHECK(packed.layer.descriptor.digest == sha256(packed.blob));
    CHECK(packed.layer.descriptor.size == packed.blob.size());
    CHECK(packed.layer.descriptor.media_type == media_type(compression));
    CHECK(packed.layer.diff_id == sha256(tar));
    CHECK(packed.layer.uncompressed_size == tar.size());
    CHECK(sha256(run_command(argv, packed.blob).out) == packed.layer.diff_id);
  }
}

TEST_CASE("the walk is sorted, parents first, without the root") {
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  TreeMaker(dir.fd()).file("b").file("a/z").file("a/b/c").file("a-x").symlink("l", "a");
  CHECK(list(pack_tar(dir.fd())) == Names{"a/", "a/b/", "a/b/c", "a/z", "a-x", "b", "l -> a"});
}

TEST_CASE("whiteouts stand where the deleted name would, opaque markers behind their directory") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  TreeMaker(dir.fd()).whiteout("etc/gone").file("etc/a").file("etc/z").dir("new/sub").file("new/file");
  TreeMaker(dir.fd()).xattr("new", "trusted.overlay.opaque", "y").dir("user").xattr("user", "user.overlay.opaque", "y");
  const std::string tar = pack_tar(dir.fd());
  CHECK(list(tar) == Names{"etc/", "etc/a", "etc/.wh.gone", "etc/z", "new/", "new/.wh..wh..opq", "new/file", "new/sub/",
                           "user/", "user/.wh..wh..opq"});
  for (const TarEntry& entry : entries(tar)) {
    CHECK(entry.xattrs.empty());
    if (entry.name.find(".wh.") == std::string::npos) continue;
    TarEntry marker;
    marker.name = entry.name;
    CHECK(entry == marker);
  }
}

TEST_CASE("whiteouts that share an inode are all written") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  TreeMaker(dir.fd()).whiteout("a").hardlink("b", "a");
  CHECK(list(pack_tar(dir.fd())) == Names{".wh.a", ".wh.b"});
}

TEST_CASE("uppers with overlay features that move content elsewhere are refused") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const char* names[] = {"trusted.overlay.redirect", "trusted.overlay.metacopy", "user.overlay.redirect",
                         "user.overlay.metacopy", "trusted.overlay.whiteout"};
  for (const char* name : names) {
    const TempDir dir = TempDir::in_tmp("cbuild-pack");
    TreeMaker(dir.fd()).file("d/f").xattr("d/f", name, "");
    try {
      pack(dir.fd());
      FAIL("not refused: ", name);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::unsupported);
      CHECK(std::string(error.what()).find("d/f") != std::string::npos);
    }
  }
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  TreeMaker(dir.fd()).dir("d").xattr("d", "trusted.overlay.opaque", "x");
  CHECK_THROWS_AS(pack(dir.fd()), Error);
}

TEST_CASE("of the xattrs capability and user.* are kept") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  TreeMaker(dir.fd()).file("f").xattr("f", "security.capability", capability_value()).xattr("f", "user.note", "hi");
  TreeMaker(dir.fd())
      .xattr("f", "trusted.secret", "x")
      .xattr("f", "user.overlay.origin", "x")
      .xattr("f", "user.empty", "");
  TreeMaker(dir.fd()).dir("d").xattr("d", "user.d", "v").xattr("d", "trusted.overlay.impure", "y");
  const std::vector<TarEntry> packed = entries(pack_tar(dir.fd()));
  REQUIRE(packed.size() == 2);
  CHECK(packed[0].xattrs == std::vector<sys::Xattr>{{"user.d", "v"}});
  CHECK(packed[1].xattrs ==
        std::vector<sys::Xattr>{{"security.capability", capability_value()}, {"user.empty", ""}, {"user.note", "hi"}});
}

TEST_CASE("a capability set in a user namespace becomes one for everybody") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  std::string in_namespace = capability_value() + std::string("\xa0\x86\x01\x00", 4);  // rootid 100000
  in_namespace[3] = 3;
  TreeMaker(dir.fd()).file("f").xattr("f", "security.capability", in_namespace);
  const std::vector<TarEntry> packed = entries(pack_tar(dir.fd()));
  CHECK(packed.at(0).xattrs == std::vector<sys::Xattr>{{"security.capability", capability_value()}});
}

TEST_CASE("hard links: the first name is the file, the others link to it and keep its xattrs") {
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  TreeMaker(dir.fd())
      .file("m", "content")
      .hardlink("a/z", "m")
      .hardlink("x", "m")
      .symlink("s1", "t")
      .hardlink("s2", "s1");
  TreeMaker(dir.fd()).xattr("m", "user.k", "v");
  const std::string tar = pack_tar(dir.fd());
  CHECK(list(tar) == Names{"a/", "a/z", "m -> a/z", "s1 -> t", "s2 -> s1", "x -> a/z"});
  const std::vector<TarEntry> all = entries(tar);
  CHECK(all[1].size == 7);
  CHECK(all[2].type == EntryType::hardlink);
  CHECK(all[2].size == 0);
  CHECK(all[2].xattrs == all[1].xattrs);
  CHECK(all[4].type == EntryType::hardlink);
}

TEST_CASE("devices and pipes are kept, sockets are not") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  TreeMaker(dir.fd())
      .node("null", S_IFCHR | 0666, 1, 3)
      .node("disk", S_IFBLK | 0660, 8, 1)
      .node("pipe", S_IFIFO | 0600);
  const UniqueFd sock(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = dir.path() + "/sock";
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  REQUIRE(bind(sock.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  const std::vector<TarEntry> packed = entries(pack_tar(dir.fd()));
  REQUIRE(packed.size() == 3);
  CHECK(packed[0].type == EntryType::block_device);
  CHECK(packed[0].device_major == 8);
  CHECK(packed[0].device_minor == 1);
  CHECK(packed[1].type == EntryType::char_device);
  CHECK(packed[1].device_minor == 3);
  CHECK(packed[2].type == EntryType::fifo);
}

TEST_CASE("times are whole seconds, lowered to the clamp") {
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  TreeMaker(dir.fd()).file("new").mtime("new", 2'000'000'000, 999).file("old").mtime("old", 1'000'000'000, 5);
  PackOptions options;
  options.clamp_mtime_s = 1'500'000'000;
  const std::vector<TarEntry> packed = entries(pack_tar(dir.fd(), options));
  CHECK(packed.at(0).mtime_s == 1'500'000'000);
  CHECK(packed.at(1).mtime_s == 1'000'000'000);
  CHECK(entries(pack_tar(dir.fd())).at(0).mtime_s == 2'000'000'000);
}

TEST_CASE("sparse files are written dense and alike") {
  const TempDir sparse = TempDir::in_tmp("cbuild-pack"), dense = TempDir::in_tmp("cbuild-pack");
  std::string content(5 << 20, '\0');
  content.replace(2 << 20, 4, "data");
  TreeMaker(sparse.fd()).sparse("f", 5 << 20, 2 << 20, "data").mtime("f", 1);
  TreeMaker(dense.fd()).file("f", content).mtime("f", 1);
  CHECK(pack(sparse.fd()).layer.diff_id == pack(dense.fd()).layer.diff_id);
  const TempDir hole = TempDir::in_tmp("cbuild-pack");
  TreeMaker(hole.fd()).sparse("f", 3 << 20, 0, "");
  CHECK(pack(hole.fd()).layer.uncompressed_size == (3 << 20) + 3 * 512);
}

/// A tree that needs many batches and blocks.
void make_large_tree(int rootfd) {
  TreeMaker maker(rootfd);
  for (int i = 0; i < 40; ++i) {
    for (int j = 0; j < 30; ++j) {
      const auto seed = static_cast<std::uint32_t>(i * 31 + j);
      maker.file(cat("dir", i, "/file", j), mixed_bytes(seed * 37 % 20'000, seed))
          .mtime(cat("dir", i, "/file", j), 1000);
    }
    maker.hardlink(cat("dir", i, "/link"), cat("dir", 0, "/file", i % 30)).mtime(cat("dir", i), 1000);
  }
  maker.file("dir7/large", mixed_bytes(6'000'000)).file("dir9/medium", mixed_bytes(100'000));
  maker.mtime("dir7/large", 1000)
      .mtime("dir9/medium", 1000)
      .mtime("dir7", 1000)
      .mtime("dir9", 1000)
      .mtime("dir0", 1000);
}

TEST_CASE("the bytes depend only on the tree, for any number of threads") {
  const tbb::global_control eight_threads(tbb::global_control::max_allowed_parallelism, 8);
  const TempDir one = TempDir::in_tmp("cbuild-pack"), two = TempDir::in_tmp("cbuild-pack");
  make_large_tree(one.fd());
  make_large_tree(two.fd());
  const Packed expected = pack(one.fd());
  for (const int threads : {1, 2, 8}) {
    tbb::task_arena arena(threads);
    for (const int fd : {one.fd(), two.fd()}) {
      const Packed again = arena.execute([&] { return pack(fd); });
      CHECK(again.layer.descriptor == expected.layer.descriptor);
      CHECK(again.layer.diff_id == expected.layer.diff_id);
    }
  }
}

TEST_CASE("a large tree holds what GNU tar finds in it") {
  const TempDir dir = TempDir::in_tmp("cbuild-pack"), out = TempDir::in_tmp("cbuild-pack");
  make_large_tree(dir.fd());
  sys::write_file_at(out.fd(), "layer.tar.gz", pack(dir.fd()).blob);
  sys::mkdir_at(out.fd(), "tree", 0755);
  const CommandResult result = run_command({"tar", "-C", out.path() + "/tree", "-xpzf", out.path() + "/layer.tar.gz"});
  CHECK(result.exit_code == 0);
  CHECK(result.err == "");
  const UniqueFd tree = sys::open_at(out.fd(), "tree", O_RDONLY | O_DIRECTORY);
  CHECK(describe_tree(tree.get()) == describe_tree(dir.fd()));
}

TEST_CASE("errors name the path, also in trees read by many threads") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  make_large_tree(dir.fd());
  TreeMaker(dir.fd()).file("dir30/bad").xattr("dir30/bad", "trusted.overlay.metacopy", "");
  try {
    pack(dir.fd());
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("dir30/bad") != std::string::npos);
  }
}

TEST_CASE("cancelling stops the work and publishes nothing") {
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  TreeMaker(dir.fd()).file("f", mixed_bytes(2'000'000));
  CancelSource cancel;
  cancel.cancel();
  PackOptions options;
  options.cancel = &cancel;
  MemoryBlobs blobs;
  CHECK_THROWS_AS(pack_layer(dir.fd(), blobs, options), Error);
  CHECK(blobs.count() == 0);
}

TEST_CASE("a plain tree tar knows no whiteouts and no overlay") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  const TempDir dir = TempDir::in_tmp("cbuild-pack");
  TreeMaker(dir.fd()).whiteout("dev").dir("o").xattr("o", "trusted.overlay.opaque", "y").file("m");
  TreeMaker(dir.fd()).xattr("m", "trusted.overlay.metacopy", "");
  std::string tar;
  write_tree_tar(dir.fd(), collect(tar), {});
  CHECK(list(tar) == Names{"dev", "m", "o/"});
  CHECK(entries(tar)[0].type == EntryType::char_device);
  for (const TarEntry& entry : entries(tar)) CHECK(entry.xattrs.empty());
}

}  // namespace
TEST_CASE("blobs in memory, as tests have them, keep the contract of a blob store") {
  test::MemoryBlobs blobs;
  testing::check_blob_store(blobs);
}

}  // namespace cbuild::oci::layer
