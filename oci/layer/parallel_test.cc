// SPDX-License-Identifier: Apache-2.0
// Files are made on several threads, and nothing may show it: whatever the archive, the tree and the failure are those
// of one thread.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <random>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/text.h"
#include "oci/layer/test_support.h"
#include "oci/layer/unpack.h"

namespace cbuild::oci::layer {
namespace {

using namespace test;

/// Archives of few names, so that nearly everything meets everything: files and links replaced by directories and back,
/// names through links, parents that are missing, whiteouts of entries that exist and that do not.
class Archives {
 public:
  explicit Archives(unsigned seed) : random_(seed) {}

  std::vector<Member> next() {
    std::vector<Member> out;
    files_.clear();
    const unsigned count = 5 + below(60);
    while (out.size() < count) out.push_back(member());
    return out;
  }

 private:
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  std::string one() { return std::string(1, static_cast<char>('a' + below(5))); }
  std::string path() {
    std::string out = one();
    for (unsigned deeper = below(3); deeper > 0; --deeper) out += "/" + one();
    return out;
  }

  Member member() {
    Member out = any();
    out.entry.mtime_s = 2'000'000 + below(1'000'000);
    if (below(6) == 0) out.entry.uid = 5;
    if (below(6) == 0) out.entry.gid = 7;
    if (below(10) == 0 && out.entry.type == EntryType::file) out.entry.xattrs = {{"user.note", "x"}};
    return out;
  }

  Member any() {
    const unsigned kind = below(20);
    if (kind < 10) {
      files_.push_back(path());
      return file_member(files_.back(), std::string(below(3000), 'x'), below(8) == 0 ? 04755 : 0640);
    }
    if (kind < 15) return dir_member(path(), below(5) == 0 ? 02775 : below(5) == 0 ? 0500 : 0755);
    if (kind < 17) return link_member(path(), below(2) == 0 ? "/" + path() : "../" + one());
    if (kind < 18 && !files_.empty())
      return link_member(path(), files_[below(static_cast<unsigned>(files_.size()))], EntryType::hardlink);
    const std::string in = below(2) == 0 ? path() + "/" : "";
    return file_member(in + (below(4) == 0 ? ".wh..wh..opq" : ".wh." + one()), "");
  }

  std::mt19937 random_;
  std::vector<std::string> files_;
};

/// The result: the failure, or the tree and the directories that were members.
std::vector<std::string> outcome(std::string_view tar, UnpackOptions options, unsigned threads, bool filled) {
  const TempDir target = TempDir::in_tmp("cbuild-parallel");
  if (filled) TreeMaker(target.fd()).file("a/b").file("b").symlink("c", "a").dir("d/e").file("e/a/b", "old");
  std::set<std::string> directories;
  options.directories = &directories;
  options.threads = threads;
  try {
    unpack(memory_file(tar).get(), target.fd(), options);
  } catch (const Error& error) {
    return {error.what()};
  }
  std::vector<std::string> out = describe_tree(target.fd(), {.times = false});
  // Times of entries that nobody named are those of the run.
  for (const std::string& line : describe_tree(target.fd(), {.times = true}))
    if (line.find(" mtime 2") != std::string::npos) out.push_back(line);
  out.insert(out.end(), directories.begin(), directories.end());
  return out;
}

TEST_CASE("threads make what one makes, whatever the archive") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  Archives archives(20261130);
  for (unsigned round = 0; round < 150; ++round) {
    CAPTURE(round);
    UnpackOptions options;
    options.whiteouts = round % 3 == 0 ? Whiteouts::apply : round % 3 == 1 ? Whiteouts::overlay : Whiteouts::keep;
    const bool filled = round % 4 == 0;
    bool whole = false;
    for (std::vector<Member> members = archives.next(); !whole; members.resize(members.size() / 2)) {
      const std::string tar = make_tar(members);
      const auto expected = outcome(tar, options, 0, filled);
      CHECK(outcome(tar, options, 3, filled) == expected);
      whole = expected.size() != 1 || members.size() < 2;
    }
  }
}

TEST_CASE("threads make many small files of many directories, and large ones among them") {
  std::vector<Member> members;
  for (unsigned dir = 0; dir < 40; ++dir) {
    members.push_back(dir_member(cat("d", dir)));
    for (unsigned i = 0; i < 30; ++i)
      members.push_back(file_member(cat("d", dir, "/f", i), mixed_bytes(i * 997 + (i == 7 ? 700'000 : 0), i)));
    members.push_back(link_member(cat("d", dir, "/hard"), cat("d", dir, "/f29"), EntryType::hardlink));
  }
  const std::string tar = make_tar(members);
  const auto expected = outcome(tar, {}, 0, false);
  for (const unsigned threads : {1u, 4u}) CHECK(outcome(tar, {}, threads, false) == expected);
}

TEST_CASE("of several failures the one of the earliest entry is reported") {
  if (!cbuild::test::can_run(is_root(), "root")) return;
  std::vector<Member> members;
  for (unsigned i = 0; i < 500; ++i) {
    members.push_back(file_member(cat("f", i), "x"));
    // The kernel takes no capability that is not one.
    if (i >= 300) members.back().entry.xattrs = {{"security.capability", "nonsense"}};
  }
  members.push_back(link_member("l", "missing", EntryType::hardlink));
  const std::string tar = make_tar(members);
  for (const unsigned threads : {0u, 1u, 4u}) {
    const auto failed = outcome(tar, {}, threads, false);
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].find("f300") != std::string::npos);
    CHECK(failed[0].find("f301") == std::string::npos);
  }
}

TEST_CASE("a file behind one that is being made is refused as by one thread") {
  for (const unsigned threads : {0u, 3u}) {
    const std::string tar = make_tar({dir_member("d"), file_member("d/f", "1"), file_member("d/f/g", "2")});
    const auto failed = outcome(tar, {}, threads, false);
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].find("not a directory") != std::string::npos);
  }
}

}  // namespace
}  // namespace cbuild::oci::layer
