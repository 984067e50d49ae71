// SPDX-License-Identifier: Apache-2.0
// Every archive here is mounted and unpacked, and both trees are compared entry by entry.
#include "oci/erofs/erofs_image.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/text.h"
#include "oci/erofs/erofs_mount.h"
#include "oci/layer/table_recorder.h"
#include "oci/layer/tree_walk.h"
#include "oci/layer/unpack.h"

namespace cbuild::oci::erofs {
namespace {

using namespace layer;

bool possible() {
  const TempDir dir = TempDir::in_tmp("cbuild-erofs");
  return test::can_run(::geteuid() == 0 && can_mount_in(dir.fd()), "root, and a kernel that mounts EROFS from files");
}

/// An archive under construction.
class Archive {
 public:
  Archive()
      : writer_([this](std::span<const std::byte> bytes) {
          text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        }) {}
  Archive& add(const std::string& name, EntryType type, const std::string& content = "", mode_t mode = 0755,
               std::vector<sys::Xattr> xattrs = {}) {
    TarEntry entry;
    entry.name = name;
    entry.type = type;
    entry.mode = mode;
    entry.uid = 70'000 + mode;
    entry.gid = mode;
    entry.mtime_s = 1'000'000'000 + static_cast<std::int64_t>(name.size());
    entry.xattrs = std::move(xattrs);
    if (type == EntryType::file) entry.size = content.size();
    if (type == EntryType::symlink || type == EntryType::hardlink) entry.link_target = content;
    if (type == EntryType::char_device || type == EntryType::block_device) {
      entry.device_major = 0x123;
      entry.device_minor = 0xabcde;
    }
    writer_.entry(entry);
    if (type == EntryType::file) writer_.data(std::as_bytes(std::span(content)));
    return *this;
  }
  Archive& file(const std::string& name, const std::string& content = "") {
    return add(name, EntryType::file, content);
  }
  std::string finish() {
    writer_.finish();
    return text_;
  }

 private:
  std::string text_;
  TarWriter writer_;
};

/// Path, all of stat that is kept, content and xattrs; hard links by the first of their names.
std::vector<std::string> describe(int rootfd, const std::set<std::string>& untimed) {
  std::vector<std::string> out;
  std::map<std::uint64_t, std::string> first;
  TreeWalk walk(rootfd);
  for (WalkEntry entry; walk.next(entry);) {
    const struct stat st = sys::stat_at(entry.parent->get(), entry.name());
    std::string line = cat(entry.path, " ", st.st_mode, " ", st.st_uid, ":", st.st_gid, " ", st.st_rdev, " ");
    if (!untimed.contains(entry.path)) line += cat(st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec, " ");
    if (S_ISREG(st.st_mode)) {
      const UniqueFd file = sys::open_at(entry.parent->get(), entry.name(), O_RDONLY | O_NOFOLLOW);
      line += cat(st.st_size, " ", sha256_fd(file.get()).hex(), " ");
    }
    if (S_ISLNK(st.st_mode)) line += sys::readlink_at(entry.parent->get(), entry.name());
    line += cat(st.st_nlink, " ", first.try_emplace(st.st_ino, entry.path).first->second);
    for (const sys::Xattr& xattr : sys::list_xattrs_at(entry.parent->get(), entry.name()))
      line += cat(" ", xattr.name, "=", go_quote(xattr.value));
    out.push_back(line);
  }
  return out;
}

std::set<std::string> untimed_paths(const LayerTable& table) {
  std::set<std::string> out;
  std::vector<std::pair<std::uint32_t, std::string>> todo{{LayerTable::kRoot, ""}};
  while (!todo.empty()) {
    const auto [directory, path] = todo.back();
    todo.pop_back();
    for (const TableName& name : table.children(directory)) {
      const std::string below = path.empty() ? name.name : path + "/" + name.name;
      if (table.nodes[name.node].implied) out.insert(below);
      if (table.nodes[name.node].is_directory()) todo.emplace_back(name.node, below);
    }
  }
  return out;
}

struct Mounted {
  TempDir dir = TempDir::in_tmp("cbuild-erofs");
  UniqueFd archive = sys::open_at(dir.fd(), "archive", O_RDWR | O_CREAT);
  UniqueFd image = sys::open_at(dir.fd(), "image", O_RDWR | O_CREAT);
  LayerTable table;
  UniqueFd root;

  explicit Mounted(std::string text) {
    sys::write_all(archive.get(), text);
    ::lseek(archive.get(), 0, SEEK_SET);
    table = read_table(archive.get(), {}, {});
    sys::write_all(image.get(), make_image(table, [&](std::uint64_t offset, std::span<std::byte> bytes) {
                     text.copy(reinterpret_cast<char*>(bytes.data()), bytes.size(), offset);
                   }));
    root = mount_image(image.get(), std::array{archive.get()});
  }
};

void check_mounted(const std::string& archive) {
  const Mounted mounted(archive);
  const TempDir tree = TempDir::in_tmp("cbuild-erofs");
  ::lseek(mounted.archive.get(), 0, SEEK_SET);
  unpack(mounted.archive.get(), tree.fd(), {});
  const std::set<std::string> untimed = untimed_paths(mounted.table);
  CHECK(join(describe(mounted.root.get(), untimed), "\n") == join(describe(tree.fd(), untimed), "\n"));
  // Nothing else is there: the directories count their own, and so do hard links.
  CHECK(sys::stat_fd(mounted.root.get()).st_nlink == sys::stat_fd(tree.fd()).st_nlink);
}

std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

TEST_CASE("a mounted layer is the unpacked one: every kind of entry") {
  if (!possible()) return;
  const std::string capability("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  Archive archive;
  archive.add("bin", EntryType::directory).file("bin/sh", noise(100'000, 1)).file("empty").file("one", "1");
  archive.add("bin/ping", EntryType::file, "elf", 04755, {{"security.capability", capability}, {"user.a", "1"}});
  archive.add("bin/ping6", EntryType::hardlink, "bin/ping", 04755).add("z", EntryType::hardlink, "bin/ping", 04755);
  archive.add("link", EntryType::symlink, "bin/sh").add("long", EntryType::symlink, std::string(4000, 't'));
  archive.add("middle", EntryType::symlink, std::string(447, 'm'))
      .add("edge", EntryType::symlink, std::string(448, 'e'));
  archive.add("edge2", EntryType::symlink, std::string(449, 'e')).add("fifo", EntryType::fifo, "", 0640);
  archive.add("char", EntryType::char_device, "", 0600).add("block", EntryType::block_device, "", 0660);
  archive.file("gone/.wh.x").file("opaque/.wh..wh..opq").file("opaque/new", "new").file(".wh.top");
  archive.add("sticky", EntryType::directory, "", 01777).add("closed", EntryType::directory, "", 0);
  archive.file(std::string(255, 'n') + "/" + std::string(255, 'm'), "long")
      .file("grüße/日本語", "utf8")
      .file("latin\xe9");
  for (const char* odd : {"!", "#", "+", "-", "--", ",", "...", ".a", "..b", "a b", "~", "\x01"})
    archive.file(odd, odd);
  for (const unsigned size : {511, 512, 513, 4095, 4096, 4097, 1'000'000})
    archive.file(cat("s", size), noise(size, size));
  check_mounted(archive.finish());
}

TEST_CASE("an empty layer, marks at the root, and bytes behind the archive") {
  if (!possible()) return;
  check_mounted(Archive().finish());
  check_mounted(Archive().file("f", noise(700, 1)).finish() + noise(777, 2));
  check_mounted(Archive().file("f", noise(700, 1)).finish().substr(0, 512 + 1024));
  const Mounted opaque(Archive().file(".wh..wh..opq").file("f", "x").finish());
  CHECK(sys::list_xattrs_at(opaque.root.get(), ".") == std::vector<sys::Xattr>{{"trusted.overlay.opaque", "y"}});
  const struct stat st = sys::stat_fd(opaque.root.get());
  CHECK((st.st_mode & 07777) == 0755);
  CHECK(st.st_uid == 0);
}

TEST_CASE("xattrs of many sizes, alone and together") {
  if (!possible()) return;
  Archive archive;
  for (unsigned size = 0; size < 64; size += 3)
    archive.add(cat("x", size), EntryType::file, noise(size * 40, size), 0644,
                {{cat("user.", std::string(size + 1, 'k')), noise(size * 11, size)}, {"user.second", "2"}});
  for (unsigned size = 370; size < 450; size += 5)
    archive.add(cat("l", size), EntryType::symlink, std::string(size, 't'), 0777, {{"security.x", "y"}});
  archive.add("big", EntryType::directory, "", 0755, {{"user.big", noise(3000, 5)}});
  check_mounted(archive.finish());
}

TEST_CASE("directories of many entries") {
  if (!possible()) return;
  Archive archive;
  for (unsigned i = 0; i < 20'000; ++i)
    archive.file(cat("d/", i, std::string(i % 200, 'x')), i % 100 == 0 ? "text" : "");
  for (unsigned i = 0; i < 300; ++i) archive.add(cat("e/", i), EntryType::directory);
  const Mounted mounted(archive.finish());
  CHECK(sys::list_dir(sys::open_at(mounted.root.get(), "d", O_RDONLY | O_DIRECTORY).get()).size() == 20'000);
  for (unsigned i = 0; i < 20'000; i += 7)
    REQUIRE(sys::try_stat_at(mounted.root.get(), cat("d/", i, std::string(i % 200, 'x'))));
  for (const char* missing : {"d/", "d/x", "d/20000", "d/1", "e/300", "e/00"})
    CHECK(!sys::try_stat_at(mounted.root.get(), cat(missing, "?")));
  CHECK(sys::stat_at(mounted.root.get(), "e").st_nlink == 302);
}

/// A layer of a shape of its own: how deep, how many, which kinds, how long the names.
std::string random_layer(unsigned seed) {
  std::mt19937 random(seed);
  const auto any = [&](unsigned below) { return static_cast<unsigned>(random() % below); };
  const unsigned depth = 1 + any(6), longest = 1 + any(seed % 5 == 0 ? 250 : 30), kinds = 1 + any(9);
  Archive archive;
  std::vector<std::string> files;
  for (unsigned left = 1 + any(seed % 7 == 0 ? 1500 : 120); left > 0; --left) {
    std::string path;
    for (unsigned level = any(depth); level > 0; --level) path += cat("dir", any(4), "/");
    path += cat(std::string(1 + any(longest), static_cast<char>('!' + any(14))), any(100));
    const std::vector<sys::Xattr> xattrs =
        any(4) == 0 ? std::vector<sys::Xattr>{{"user.x", noise(any(300), left)}} : std::vector<sys::Xattr>{};
    switch (any(kinds)) {
      case 1:
        archive.add(path, EntryType::symlink, std::string(1 + any(600), 'l'));
        break;
      case 2:
        archive.add(path + "d", EntryType::directory, "", 01777, xattrs);
        break;
      case 3:
        if (!files.empty())
          archive.add(path + "h", EntryType::hardlink, files[any(static_cast<unsigned>(files.size()))]);
        break;
      case 4:
        archive.add(path, EntryType::char_device, "", 0600);
        break;
      case 5:
        archive.add(path, EntryType::fifo, "", 0644);
        break;
      case 6:
        archive.file(cat("dir", any(4), "/.wh.", left));
        break;
      case 7:
        archive.file(cat("dir", any(4), "/.wh..wh..opq"));
        break;
      default:
        files.push_back(cat(path, "f", left));
        archive.add(files.back(), EntryType::file, noise(any(8) == 0 ? any(70'000) : any(1500), left), 0644, xattrs);
    }
  }
  return archive.finish();
}

TEST_CASE("layers of fifty shapes") {
  if (!possible()) return;
  for (unsigned seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    check_mounted(random_layer(seed));
  }
}

/// A table that says that one file lies so in an archive of noise.
std::string read_through(std::uint64_t size, std::vector<TableExtent> extents, const std::string& archive) {
  LayerTable table;
  table.archive_size = archive.size();
  table.nodes.resize(2);
  table.nodes[0].type = EntryType::directory;
  table.nodes[0].children = 1;
  table.nodes[1].names = 1;
  table.nodes[1].size = size;
  table.nodes[1].extents = std::move(extents);
  table.names = {{"f", 1}};
  const TempDir dir = TempDir::in_tmp("cbuild-erofs");
  const UniqueFd data = sys::open_at(dir.fd(), "archive", O_RDWR | O_CREAT),
                 image = sys::open_at(dir.fd(), "image", O_RDWR | O_CREAT);
  sys::write_all(data.get(), archive);
  sys::write_all(image.get(), make_image(table, [&](std::uint64_t offset, std::span<std::byte> bytes) {
                   archive.copy(reinterpret_cast<char*>(bytes.data()), bytes.size(), offset);
                 }));
  return sys::read_file_at(mount_image(image.get(), std::array{data.get()}).get(), "f", 1 << 24);
}

TEST_CASE("pieces of a file at any place: holes, odd offsets, out of order") {
  if (!possible()) return;
  const std::string archive = noise(1 << 20, 9);
  for (unsigned seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto any = [&](std::uint64_t below) { return random() % below; };
    const std::uint64_t unit = seed % 3 == 0 ? 512 : 1;
    std::vector<TableExtent> extents;
    std::uint64_t end = 0;
    for (std::uint64_t left = any(6); left > 0; --left) {
      const std::uint64_t at = end + any(3) * any(20'000) / unit * unit, size = (1 + any(9000)) * unit % 60'000 + unit;
      extents.push_back({at, any((archive.size() - size) / unit) * unit, size});
      end = at + size;
    }
    const std::uint64_t size = end + any(2) * any(100'000);
    std::string expected(size, '\0');
    for (const TableExtent& extent : extents)
      expected.replace(extent.file_offset, extent.size, archive, extent.archive_offset, extent.size);
    CHECK(sha256(read_through(size, extents, archive)) == sha256(expected));
  }
}

TEST_CASE("an archive in several files") {
  if (!possible()) return;
  for (const std::size_t count : {1u, 2u, 3u, 8u}) {
    CAPTURE(count);
    const TempDir dir = TempDir::in_tmp("cbuild-erofs");
    std::vector<std::uint64_t> sizes;
    std::vector<UniqueFd> files;
    std::vector<int> fds;
    std::string whole;
    LayerTable table;
    table.nodes.resize(1);
    table.nodes[0].type = EntryType::directory;
    for (std::size_t part = 0; part < count; ++part) {
      const std::uint64_t begin = whole.size();
      const std::string content = noise(512 * (9 + 40 * part), static_cast<unsigned>(part));
      whole += content;
      sizes.push_back(content.size());
      files.push_back(sys::open_at(dir.fd(), cat(part), O_RDWR | O_CREAT, 0600));
      sys::write_all(files.back().get(), content);
      fds.push_back(files.back().get());
      for (const std::uint64_t at : {std::uint64_t{0}, std::uint64_t{1024}, content.size() - 512}) {
        TableNode node;
        node.names = 1;
        node.size = at == 1024 ? 3000 : 500;
        node.extents = {{0, begin + at, node.size}};
        table.names.push_back({cat(part, '.', 1'000'000 + at), static_cast<std::uint32_t>(table.nodes.size())});
        table.nodes.push_back(std::move(node));
      }
    }
    table.nodes[0].children = static_cast<std::uint32_t>(table.names.size());
    table.archive_size = whole.size();
    const UniqueFd image = sys::open_at(dir.fd(), "image", O_RDWR | O_CREAT, 0600);
    sys::write_all(image.get(), make_image(table, nullptr, sizes));
    const UniqueFd root = mount_image(image.get(), fds);
    for (const TableName& name : table.names) {
      const TableExtent& extent = table.nodes[name.node].extents[0];
      CHECK(sys::read_file_at(root.get(), name.name, 1 << 20) == whole.substr(extent.archive_offset, extent.size));
    }
  }
}

TEST_CASE("layers that have no form are refused before anything is written") {
  const auto refused = [](const std::function<void(LayerTable&)>& change) {
    LayerTable table;
    table.nodes.resize(2);
    table.nodes[0].type = EntryType::directory;
    table.nodes[0].children = 1;
    table.nodes[1].names = 1;
    table.names = {{"f", 1}};
    change(table);
    try {
      make_image(table, nullptr);
    } catch (const Error& error) {
      return error.code() == ErrorCode::unsupported;
    }
    return false;
  };
  CHECK(!refused([](LayerTable&) {}));
  CHECK(refused([](LayerTable& table) { table.nodes[1].xattrs = {{"system.posix_acl_access", "x"}}; }));
  CHECK(refused([](LayerTable& table) { table.nodes[1].xattrs = {{"user.a", std::string(65'536, 'x')}}; }));
  CHECK(refused([](LayerTable& table) {
    table.archive_size = 1000;
    table.nodes[1].size = 1ull << 50;
    table.nodes[1].extents = {{1, 0, 100}, {1ull << 49, 100, 100}};
  }));
  CHECK(refused([](LayerTable& table) { table.archive_size = 1ull << 41; }));
}

}  // namespace
}  // namespace cbuild::oci::erofs
