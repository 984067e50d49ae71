// SPDX-License-Identifier: Apache-2.0
// Archives that want out of the target, or that are broken, and the order rules of whiteouts.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/text.h"
#include "oci/layer/test_support.h"
#include "oci/layer/unpack.h"

namespace cbuild::oci::layer {
namespace {

using namespace test;

/// A target directory inside a directory whose other content must not change.
class Jail {
 public:
  Jail() : outer_(TempDir::in_tmp("cbuild-jail")) {
    TreeMaker(outer_.fd()).file("outside/secret", "secret").file("victim", "victim").dir("target");
    target_ = sys::open_at(outer_.fd(), "target", O_RDONLY | O_DIRECTORY);
    before_ = outside();
  }
  ~Jail() { CHECK(outside() == before_); }

  int fd() const { return target_.get(); }
  UnpackResult unpack_all(const std::vector<Member>& members, Whiteouts whiteouts = Whiteouts::overlay) {
    UnpackOptions options;
    options.whiteouts = whiteouts;
    options.threads = 2;
    const std::string archive = make_tar(members);
    check_table(archive);
    return unpack(memory_file(archive).get(), fd(), options);
  }
  bool exists(const std::string& path) const { return sys::try_stat_at(fd(), path).has_value(); }
  std::string read(const std::string& path) const { return sys::read_file_at(fd(), path, 1 << 20); }
  std::string path() const { return outer_.path(); }

 private:
  std::vector<std::string> outside() const {
    std::vector<std::string> lines = describe_tree(outer_.fd());
    std::erase_if(lines, [](const std::string& line) { return line.starts_with("target"); });
    return lines;
  }
  TempDir outer_;
  UniqueFd target_;
  std::vector<std::string> before_;
};

void check_corrupt(Jail& jail, const std::vector<Member>& members, Whiteouts whiteouts = Whiteouts::overlay) {
  try {
    jail.unpack_all(members, whiteouts);
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
  }
}

TEST_CASE("names that point out of the target are cleaned") {
  Jail jail;
  jail.unpack_all({file_member("../victim", "1"), file_member("/abs", "2"), file_member("a/../../../victim2", "3"),
                   file_member("./dot/./x", "4"), dir_member(".."), dir_member("/"), dir_member("./"),
                   file_member("//two", "5")});
  CHECK(jail.read("victim") == "1");
  CHECK(jail.read("abs") == "2");
  CHECK(jail.read("victim2") == "3");
  CHECK(jail.read("dot/x") == "4");
  CHECK(jail.read("two") == "5");
}

TEST_CASE("symlinks on the way are resolved inside the target") {
  Jail jail;
  jail.unpack_all({link_member("up", "../outside"), file_member("up/secret", "mine"), link_member("abs", "/outside"),
                   file_member("abs/other", "mine"), link_member("real", jail.path()),
                   file_member("real/victim", "mine"), dir_member("lib64"), link_member("usr", "lib64"),
                   file_member("usr/so", "here")});
  CHECK(jail.read("outside/secret") == "mine");
  CHECK(jail.read("outside/other") == "mine");
  CHECK(jail.read("lib64/so") == "here");
  CHECK(jail.exists(jail.path().substr(1) + "/victim"));
}

TEST_CASE("symlinks already in the target are not a way out either") {
  Jail jail;
  TreeMaker(jail.fd()).symlink("old", "../outside").symlink("a/b", "../../../outside").symlink("loop", "loop");
  jail.unpack_all({file_member("old/x"), file_member("a/b/y")});
  CHECK(jail.exists("outside/x"));
  CHECK(jail.exists("outside/y"));
  CHECK_THROWS_AS(jail.unpack_all({file_member("loop/x")}), Error);
}

TEST_CASE("a file never goes through a symlink of its own name") {
  Jail jail;
  jail.unpack_all({link_member("l", "../victim"), file_member("l", "mine"), link_member("d", "../outside"),
                   dir_member("d"), file_member("d/secret", "mine")});
  CHECK(S_ISREG(sys::stat_at(jail.fd(), "l").st_mode));
  CHECK(S_ISDIR(sys::stat_at(jail.fd(), "d").st_mode));
}

TEST_CASE("a directory that becomes a symlink is not used behind its back") {
  Jail jail;
  Member dir = dir_member("d", 0711);
  dir.entry.mtime_s = 5;
  jail.unpack_all({dir, file_member("d/f"), link_member("d", "../outside"), file_member("d/secret", "mine")});
  CHECK(jail.read("outside/secret") == "mine");
  CHECK(S_ISLNK(sys::stat_at(jail.fd(), "d").st_mode));
}

TEST_CASE("hard links stay inside") {
  Jail jail;
  TreeMaker(jail.fd()).symlink("l", "../outside").file("f", "f");
  check_corrupt(jail, {link_member("h", "../victim", EntryType::hardlink)});
  check_corrupt(jail, {link_member("h", jail.path() + "/victim", EntryType::hardlink)});
  check_corrupt(jail, {link_member("h", "l/secret", EntryType::hardlink)});
  check_corrupt(jail, {link_member("h", "missing", EntryType::hardlink)});
  check_corrupt(jail, {dir_member("d"), link_member("h", "d", EntryType::hardlink)});
  check_corrupt(jail, {link_member("h", "/", EntryType::hardlink)});
  jail.unpack_all({link_member("same", "../f", EntryType::hardlink), link_member("same", "f", EntryType::hardlink)});
  CHECK(sys::stat_at(jail.fd(), "same").st_ino == sys::stat_at(jail.fd(), "f").st_ino);
}

TEST_CASE("a hard link to a symlink is the symlink, and neither is followed") {
  Jail jail;
  Member link = link_member("h", "l", EntryType::hardlink);
  link.entry.mode = 0777;
  link.entry.mtime_s = 99;
  jail.unpack_all({link_member("l", "../victim"), link});
  CHECK(S_ISLNK(sys::stat_at(jail.fd(), "h").st_mode));
}

TEST_CASE("a file in the place of a parent is an error") {
  Jail jail;
  check_corrupt(jail, {file_member("f"), file_member("f/g")});
}

TEST_CASE("names that are too long are errors") {
  Jail jail;
  std::string deep;
  while (deep.size() < 5000) deep += "d/";
  check_corrupt(jail, {file_member(deep + "f")});
  CHECK_THROWS_AS(jail.unpack_all({file_member(std::string(300, 'n'))}), Error);
}

TEST_CASE("overlay's own xattrs and trusted ones are not taken from archives") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  Jail jail;
  Member dir = dir_member("d");
  dir.entry.xattrs = {
      {"trusted.overlay.opaque", "y"}, {"trusted.x", "y"}, {"user.ok", "y"}, {"user.overlay.redirect", "/outside"}};
  jail.unpack_all({dir});
  const std::vector<sys::Xattr> xattrs = sys::list_xattrs_at(jail.fd(), "d");
  CHECK(xattrs == std::vector<sys::Xattr>{{"user.ok", "y"}});
}

TEST_CASE("whiteouts of nothing are refused") {
  for (const char* name : {".wh.", "d/.wh.", ".wh..", ".wh...", "d/.wh..."}) {
    CAPTURE(name);
    Jail jail;
    TreeMaker(jail.fd()).file("d/f").file("f");
    for (const Whiteouts mode : {Whiteouts::overlay, Whiteouts::apply}) check_corrupt(jail, {file_member(name)}, mode);
    CHECK(jail.exists("d/f"));
    CHECK(jail.exists("f"));
  }
}

TEST_CASE("whiteouts do not reach through symlinks") {
  Jail jail;
  TreeMaker(jail.fd()).symlink("l", "../outside").symlink("v", "../victim");
  jail.unpack_all({file_member("l/.wh.secret"), file_member(".wh.v"), file_member("l/.wh..wh..opq")}, Whiteouts::apply);
  CHECK(!jail.exists("v"));
}

std::string opaque_value(int fd, const std::string& path, const std::string& name = "trusted.overlay.opaque") {
  for (const sys::Xattr& xattr : sys::list_xattrs_at(fd, path)) {
    if (xattr.name == name) return xattr.value;
  }
  return "";
}

TEST_CASE("whiteouts become devices and opaque xattrs for overlay") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  Jail jail;
  jail.unpack_all({dir_member("d"), file_member("d/.wh.gone"), file_member("o/.wh..wh..opq"), file_member("o/new"),
                   file_member(".wh..wh.plnk/1.2"), file_member(".wh..wh.aufs")});
  const struct stat gone = sys::stat_at(jail.fd(), "d/gone");
  CHECK(S_ISCHR(gone.st_mode));
  CHECK(gone.st_rdev == makedev(0, 0));
  CHECK(opaque_value(jail.fd(), "o") == "y");
  CHECK(sys::list_dir(jail.fd()) == std::vector<std::string>{"d", "o"});
}

TEST_CASE("the opaque marker of unprivileged overlays") {
  Jail jail;
  UnpackOptions options;
  options.user_xattr = true;
  unpack(memory_file(make_tar({file_member("o/.wh..wh..opq")})).get(), jail.fd(), options);
  CHECK(opaque_value(jail.fd(), "o", "user.overlay.opaque") == "y");
}

TEST_CASE("for overlay a whiteout never hides its own layer, before or behind") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  Jail jail;
  jail.unpack_all({file_member("f", "own"), file_member(".wh.f"), file_member(".wh.g"), file_member("g", "own"),
                   dir_member("d"), file_member("d/x"), file_member(".wh.d"), file_member(".wh.e"), dir_member("e"),
                   file_member("e/y"), file_member(".wh.f")});
  CHECK(jail.read("f") == "own");
  CHECK(jail.read("g") == "own");
  CHECK(jail.exists("d/x"));
  CHECK(opaque_value(jail.fd(), "d") == "y");
  CHECK(jail.exists("e/y"));
  CHECK(opaque_value(jail.fd(), "e") == "y");
}

TEST_CASE("in a flat tree whiteouts delete what the layers below brought, whatever the order") {
  Jail jail;
  TreeMaker(jail.fd()).file("old").file("dir/a/old").file("dir/old").file("opaque/old").file("opaque/sub/old");
  TreeMaker(jail.fd()).file("opaque/merged/old").file("shadow/old").file("keep/old");
  jail.unpack_all({file_member(".wh.old"), file_member("dir/a/new"), file_member(".wh.dir"), file_member("opaque/new"),
                   file_member("opaque/merged/new"), dir_member("opaque/own"), file_member("opaque/.wh..wh..opq"),
                   file_member("opaque/later"), file_member("shadow", "file now"), file_member(".wh.shadow"),
                   file_member("keep/new"), file_member(".wh.missing")},
                  Whiteouts::apply);
  const std::vector<std::string> expected = {
      "dir",          "dir/a",         "dir/a/new",         "keep",       "keep/new",   "keep/old", "opaque",
      "opaque/later", "opaque/merged", "opaque/merged/new", "opaque/new", "opaque/own", "shadow"};
  std::vector<std::string> found;
  for (const std::string& line : describe_tree(jail.fd())) found.push_back(line.substr(0, line.find(' ')));
  CHECK(found == expected);
}

TEST_CASE("markers are ordinary files where whiteouts are kept") {
  Jail jail;
  TreeMaker(jail.fd()).file("f");
  jail.unpack_all({file_member(".wh.f", "text"), file_member(".wh..wh..opq"), file_member(".wh.")}, Whiteouts::keep);
  CHECK(jail.read(".wh.f") == "text");
  CHECK(jail.exists(".wh..wh..opq"));
  CHECK(jail.exists(".wh."));
  CHECK(jail.exists("f"));
}

void check_broken(std::string_view archive, std::uint64_t max_bytes = 1 << 30) {
  check_table(archive, max_bytes);
  Jail jail;
  UnpackOptions options;
  options.max_bytes = max_bytes;
  options.threads = 2;
  try {
    unpack(memory_file(archive).get(), jail.fd(), options);
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
  }
}

TEST_CASE("cut and damaged archives are refused in every compression") {
  const std::string tar = make_tar({file_member("a", mixed_bytes(900'000)), file_member("b", mixed_bytes(900'000, 2))});
  const std::vector<std::vector<std::string>> tools = {
      {"cat"}, {"gzip", "-c"}, {"zstd", "-cq"}, {"bzip2", "-c"}, {"xz", "-c"}};
  for (const auto& argv : tools) {
    CAPTURE(argv[0]);
    const std::string archive = run_command(argv, tar).out;
    REQUIRE(archive.size() > 100'000);
    check_broken(std::string_view(archive).substr(0, archive.size() / 2));
    if (argv[0] == "cat") continue;
    check_broken(std::string_view(archive).substr(0, archive.size() - 1));
    check_broken(std::string_view(archive).substr(0, 7));
    std::string damaged = archive;
    for (std::size_t i = 0; i < 64; ++i) damaged[damaged.size() / 2 + i] ^= 0x55;
    check_broken(damaged);
  }
  check_broken(random_bytes(5000));
  check_broken("\x1f\x8b\x08 not really gzip");
}

TEST_CASE("a bomb ends at the limit") {
  const std::string zeros(64 << 20, '\0');
  const std::string tar = make_tar({file_member("zeros", zeros)});
  check_broken(run_command({"gzip", "-c"}, tar).out, 1 << 20);
  check_broken(run_command({"zstd", "-cq"}, tar).out, 1 << 20);
  const std::string many = run_command({"gzip", "-c"}, tar + tar).out;
  check_broken(many, 65 << 20);
}

TEST_CASE("a sparse member cannot claim more than the limit") {
  const TempDir dir = TempDir::in_tmp("cbuild-jail");
  TreeMaker(dir.fd()).sparse("huge", 1ull << 40, 0, "x");
  const CommandResult tar = run_command({"tar", "-C", dir.path(), "--format=pax", "-S", "-cf", "-", "huge"});
  REQUIRE(tar.exit_code == 0);
  check_broken(tar.out, 1 << 30);
}

/// `archive` with another number in an octal field of its first header, and the checksum to it.
std::string with_number(std::string archive, std::size_t at, std::size_t digits, std::uint64_t value) {
  constexpr std::size_t kBlock = 512, kSum = 148;
  for (std::size_t i = digits; i-- > 0; value /= 8) archive[at + i] = static_cast<char>('0' + value % 8);
  archive.replace(kSum, 8, 8, ' ');
  unsigned sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) sum += static_cast<unsigned char>(archive[i]);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  return archive.replace(kSum, 7, text, 7);
}

TEST_CASE("the pieces of a sparse member lie one behind the other, within its size") {
  const TempDir dir = TempDir::in_tmp("cbuild-jail");
  TreeMaker(dir.fd()).sparse("f", 1 << 20, 1 << 19, std::string(5000, 'x'));
  const CommandResult tar = run_command({"tar", "-C", dir.path(), "--format=gnu", "-S", "-cf", "-", "f"});
  REQUIRE(tar.exit_code == 0);
  constexpr std::size_t kFirstOffset = 386, kRealSize = 483, kDigits = 11;
  Jail whole;
  unpack(memory_file(tar.out).get(), whole.fd(), {});
  check_broken(with_number(tar.out, kRealSize, kDigits, 1000));
  check_broken(with_number(tar.out, kFirstOffset, kDigits, 1ull << 32));
}

TEST_CASE("errors name the entry, made safe for a terminal") {
  Jail jail;
  try {
    jail.unpack_all({link_member("bad\x1b[31m", "missing", EntryType::hardlink)});
    FAIL("not refused");
  } catch (const Error& error) {
    const std::string text = error.what();
    CHECK(text.find("bad") != std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
  }
}

}  // namespace
}  // namespace cbuild::oci::layer
