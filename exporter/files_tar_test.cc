// SPDX-License-Identifier: Apache-2.0
// Root file systems as tars, read back member by member.
#include "exporter/files_tar.h"

#include <doctest/doctest.h>
#include <sys/sysmacros.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "exporter/test_support.h"

namespace cbuild::exporter {
namespace {

using namespace testing;

/// Trees as one tar.
std::string tar_of(std::span<const FileTree> trees) {
  std::string out;
  write_files_tar(trees, nullptr, [&out](std::span<const std::byte> bytes) {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  return out;
}

FileTree tree_of(Workshop& shop, const Digest& chain, const std::string& platform = {}) {
  return {open_rootfs(shop.store, chain), {}, {}, platform};
}

/// A root file system as a tar.
std::string rootfs(Workshop& shop, const Digest& chain) {
  const FileTree tree = tree_of(shop, chain);
  return tar_of({&tree, 1});
}

/// The member of this name; an empty one where there is none.
TarMember found(const std::string& tar, const std::string& name) {
  for (auto& [path, what] : tar_members(tar))
    if (path == name) return what;
  return {};
}

}  // namespace

TEST_CASE("times of a root file system are lowered to the epoch, older ones stay") {
  Workshop shop;
  const Digest chain = add_layer(shop.store, {}, [](int tree) {
                         for (const auto& [name, seconds] : {std::pair("old", 100), std::pair("young", 900)}) {
                           write_file(tree, name, name);
                           const timespec times[2] = {{seconds, 0}, {seconds, 0}};
                           REQUIRE(::utimensat(tree, name, times, 0) == 0);
                         }
                       }).id;
  const auto mtimes = [&](const Digest& of, std::optional<std::int64_t> clamp, const std::string& prefix) {
    const FileTree tree{open_rootfs(shop.store, of), clamp, prefix};
    std::map<std::string, std::int64_t> out;
    for (const auto& [name, what] : tar_members(tar_of({&tree, 1}))) out[name] = what.mtime;
    return out;
  };
  CHECK(mtimes(chain, {}, "") == std::map<std::string, std::int64_t>{{"old", 100}, {"young", 900}});
  CHECK(mtimes(chain, 500, "") == std::map<std::string, std::int64_t>{{"old", 100}, {"young", 500}});
  CHECK(mtimes(chain, 500, "linux_amd64") == std::map<std::string, std::int64_t>{{"linux_amd64/", 500},
                                                                                 {"linux_amd64/old", 100},
                                                                                 {"linux_amd64/young", 500}});
  CHECK(mtimes({}, {}, "").empty());
}

TEST_CASE("hard links of a root file system stay links, copies stay copies") {
  Workshop shop;
  const std::string tar = rootfs(shop, add_layer(shop.store, {}, [](int tree) {
                                         for (const char* name : {"a", "copy", "other"}) write_file(tree, name, "text");
                                         REQUIRE(::linkat(tree, "a", tree, "link", 0) == 0);
                                         REQUIRE(::linkat(tree, "copy", tree, "one more", 0) == 0);
                                       }).id);
  CHECK(found(tar, "a").content == "text");
  CHECK(found(tar, "copy").content == "text");
  CHECK(found(tar, "other").content == "text");
  CHECK(found(tar, "link").type == '1');
  CHECK(found(tar, "link").link == "a");
  CHECK(found(tar, "link").content.empty());
  CHECK(found(tar, "one more").link == "copy");
}

TEST_CASE("a socket is not in the tar of a root file system, a pipe is, and so are xattrs") {
  Workshop shop;
  const std::string tar = rootfs(shop, add_layer(shop.store, {}, [](int tree) {
                                         REQUIRE(::mknodat(tree, "socket", S_IFSOCK | 0644, 0) == 0);
                                         REQUIRE(::mknodat(tree, "pipe", S_IFIFO | 0644, 0) == 0);
                                         write_file(tree, "marked", "text");
                                         REQUIRE(sys::set_xattr_at(tree, "marked", {"user.color", "red"}));
                                       }).id);
  CHECK(found(tar, "socket").type == 0);
  CHECK(found(tar, "pipe").type == '6');
  CHECK(found(tar, "marked").content == "text");
  CHECK(tar.find("SCHILY.xattr.user.color=red\n") != std::string::npos);
}

TEST_CASE("device nodes have their numbers in the tar of a root file system") {
  Workshop shop;
  bool made = false;
  const Digest chain = add_layer(shop.store, {}, [&](int tree) {
                         made = ::mknodat(tree, "disk", S_IFBLK | 0600, makedev(7, 21)) == 0 &&
                                ::mknodat(tree, "full", S_IFCHR | 0600, makedev(1, 7)) == 0;
                       }).id;
  if (!test::can_run(made, "device nodes")) return;
  const TarMember disk = found(rootfs(shop, chain), "disk"), full = found(rootfs(shop, chain), "full");
  CHECK(disk.type == '4');
  CHECK(disk.device_major == 7);
  CHECK(disk.device_minor == 21);
  CHECK(full.type == '3');
  CHECK(full.device_major == 1);
  CHECK(full.device_minor == 7);
}

TEST_CASE("trees of several platforms lie side by side, or on each other if nothing is in both") {
  Workshop shop;
  std::vector<FileTree> trees;
  trees.push_back(tree_of(shop, shop.layer({}, "bin/one", "1", kSecond), "linux/amd64"));
  trees.push_back(tree_of(shop, shop.layer({}, "bin/two", "2", kSecond), "linux/arm64"));
  const auto names = [&] {
    std::vector<std::string> out;
    for (const auto& [name, unused] : tar_members(tar_of(trees))) out.push_back(name);
    return out;
  };
  CHECK_NOTHROW(check_distinct(trees));
  CHECK(names() == std::vector<std::string>{"bin/", "bin/one", "bin/two"});
  trees.push_back(tree_of(shop, shop.layer({}, "bin/one", "3", kSecond), "linux/arm/v7"));
  CHECK_THROWS_WITH_AS(check_distinct(trees),
                       "/bin/one of linux/arm/v7 would replace that of linux/amd64 (platform-split=false)", Error);
  trees.back() = tree_of(shop, shop.layer({}, "bin", "a file", kSecond), "linux/arm/v7");
  CHECK_THROWS_AS(check_distinct(trees), Error);
  for (FileTree& tree : trees) tree.prefix = replace_all(tree.platform, "/", "_");
  CHECK_NOTHROW(check_distinct(trees));
  CHECK(names() == std::vector<std::string>{"linux_amd64/", "linux_amd64/bin/", "linux_amd64/bin/one", "linux_arm64/",
                                            "linux_arm64/bin/", "linux_arm64/bin/two", "linux_arm_v7/",
                                            "linux_arm_v7/bin"});
}

}  // namespace cbuild::exporter
