// SPDX-License-Identifier: Apache-2.0
// The receiver without a client: entries and data are put in directly, and the tree is looked at.
#include "api/session/tree_receiver.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"

namespace cbuild::api {
namespace {

constexpr mode_t kDirectory = S_IFDIR | 0755, kFile = S_IFREG | 0644, kSymlink = S_IFLNK | 0777;

FileStat entry_of(const std::string& path, mode_t mode, std::uint64_t size = 0, std::int64_t mtime = 1'000'000'007,
                  const std::string& link = {}) {
  return {path, mode, ::getuid(), ::getgid(), size, mtime, link};
}

/// A destination, and what one sync after the other asks for.
class ReceiverTest {
 public:
  TempDir directory = TempDir::in_tmp("receiver-test-");
  SyncedDirectory destination = SyncedDirectory::try_lock(directory.path() + "/copy").value();
  SyncLimits limits;
  std::map<std::string, std::string> contents;

  /// A whole sync; every file has what `contents` says, or nothing. The paths that were asked for.
  std::vector<std::string> sync(const std::vector<FileStat>& entries) {
    std::vector<std::uint32_t> asked;
    TreeReceiver receiver(destination, limits, {}, [&](std::uint32_t number) { asked.push_back(number); });
    for (const FileStat& entry : entries) receiver.add(entry);
    receiver.end_entries();
    std::vector<std::string> paths;
    for (std::size_t at = 0; at < asked.size(); ++at) {
      const std::string path = entries[asked[at]].path;
      paths.push_back(path);
      if (!contents[path].empty()) receiver.data(asked[at], contents[path]);
      receiver.data(asked[at], {});
    }
    REQUIRE(receiver.complete());
    result = receiver.finish();
    return paths;
  }
  /// The code of the error that the entries lead to; internal if none.
  ErrorCode refusal(const std::vector<FileStat>& entries) {
    try {
      sync(entries);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::internal;
  }
  std::string read(const std::string& path) { return sys::read_file_at(destination.tree_fd(), path, 1u << 20); }
  struct stat stat(const std::string& path) { return sys::stat_at(destination.tree_fd(), path); }
  bool exists(const std::string& path) { return sys::try_stat_at(destination.tree_fd(), path).has_value(); }

  SyncResult result;
};

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(ReceiverTest, "a tree arrives with its metadata, and the second time nothing is asked for") {
  contents["d/a"] = "hello";
  contents["d/\xff\u00e4"] = "x";
  std::vector<FileStat> entries = {
      entry_of("d", S_IFDIR | 0700, 0, -5), entry_of("d/a", S_IFREG | 0640, 5),
      entry_of("d/empty", kFile),           entry_of("d/link", kSymlink, 0, 77, "../nowhere"),
      entry_of("d/pipe", S_IFIFO | 0600),   entry_of("d/same", kFile, 0, 1, "d/a"),
      entry_of("d/\xff\u00e4", kFile, 1),   entry_of("e", kDirectory, 0, 9)};
  CHECK(sync(entries) == Paths{"d/a", "d/empty", "d/\xff\u00e4"});
  CHECK(result.entries == 8);
  CHECK(result.files == 3);
  CHECK(result.bytes == 6);
  CHECK(read("d/a") == "hello");
  CHECK(stat("d/a").st_mode == (S_IFREG | 0640));
  CHECK(mtime_ns(stat("d/a")) == 1'000'000'007);
  CHECK(mtime_ns(stat("d")) == -5);
  CHECK(stat("d").st_mode == (S_IFDIR | 0700));
  CHECK(mtime_ns(stat("d/link")) == 77);
  CHECK(sys::readlink_at(destination.tree_fd(), "d/link") == "../nowhere");
  CHECK(S_ISFIFO(stat("d/pipe").st_mode));
  CHECK(stat("d/same").st_ino == stat("d/a").st_ino);
  CHECK(sync(entries).empty());
  CHECK(mtime_ns(stat("d")) == -5);
  CHECK(stat("d/same").st_ino == stat("d/a").st_ino);
}

TEST_CASE_FIXTURE(ReceiverTest, "a file whose mode, size or time changed is asked for, others are not") {
  contents = {{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}};
  const std::vector<FileStat> before = {entry_of("a", kFile, 1), entry_of("b", kFile, 1), entry_of("c", kFile, 1),
                                        entry_of("d", kFile, 1)};
  sync(before);
  contents = {{"a", "2"}, {"b", "2"}, {"c", "22"}, {"d", "2"}};
  CHECK(sync({entry_of("a", S_IFREG | 0600, 1), entry_of("b", kFile, 1, 1'000'000'008), entry_of("c", kFile, 2),
              entry_of("d", kFile, 1)}) == Paths{"a", "b", "c"});
  CHECK(read("a") == "2");
  CHECK(read("b") == "2");
  CHECK(read("c") == "22");
  CHECK(read("d") == "1");
}

TEST_CASE_FIXTURE(ReceiverTest, "an attribute that changed has a file asked for again") {
  FileStat entry = entry_of("a", kFile, 0);
  entry.xattrs = {{"user.k", "1"}};
  sync({entry});
  if (!KeptMetadata::probe(destination.staging_fd()).user_xattrs) return;
  CHECK(sys::list_xattrs_at(destination.tree_fd(), "a") == entry.xattrs);
  CHECK(sync({entry}).empty());
  entry.xattrs = {{"user.k", "2"}};
  CHECK(sync({entry}) == Paths{"a"});
  entry.xattrs.clear();
  CHECK(sync({entry}) == Paths{"a"});
  CHECK(sys::list_xattrs_at(destination.tree_fd(), "a").empty());
}

TEST_CASE_FIXTURE(ReceiverTest, "what the list does not have is removed, everywhere") {
  sync({entry_of("a", kDirectory), entry_of("a/x", kFile), entry_of("a/y", kDirectory), entry_of("a/y/z", kFile),
        entry_of("b", kFile), entry_of("c", kDirectory), entry_of("c/x", kFile)});
  CHECK(sync({entry_of("a", kDirectory, 0, 3), entry_of("a/x", kFile), entry_of("c", kDirectory, 0, 4)}).empty());
  CHECK(sys::list_dir(destination.tree_fd()) == Paths{"a", "c"});
  CHECK(exists("a/x"));
  CHECK_FALSE(exists("a/y"));
  CHECK_FALSE(exists("c/x"));
  CHECK(mtime_ns(stat("a")) == 3);
  CHECK(mtime_ns(stat("c")) == 4);
  CHECK(sync({}).empty());
  CHECK(sys::list_dir(destination.tree_fd()).empty());
}

TEST_CASE_FIXTURE(ReceiverTest, "entries change their types") {
  sync({entry_of("a", kDirectory), entry_of("a/x", kFile), entry_of("b", kFile), entry_of("c", kSymlink, 0, 1, "b"),
        entry_of("d", kDirectory)});
  CHECK(sync({entry_of("a", kFile), entry_of("b", kDirectory), entry_of("b/x", kFile), entry_of("c", kFile),
              entry_of("d", kSymlink, 0, 1, "b")}) == Paths{"a", "b/x", "c"});
  CHECK(S_ISREG(stat("a").st_mode));
  CHECK(S_ISDIR(stat("b").st_mode));
  CHECK(S_ISREG(stat("c").st_mode));
  CHECK(S_ISLNK(stat("d").st_mode));
}

TEST_CASE_FIXTURE(ReceiverTest, "nothing is written through a symbolic link that an earlier sync has made") {
  const std::string outside = directory.path() + "/outside";
  sys::mkdir_at(AT_FDCWD, outside, 0755);
  sys::write_file_at(AT_FDCWD, outside + "/x", "mine");
  sync({entry_of("d", kSymlink, 0, 1, outside), entry_of("f", kSymlink, 0, 1, outside + "/x")});
  contents = {{"d/x", "theirs"}, {"f", "theirs"}};
  CHECK(sync({entry_of("d", kDirectory), entry_of("d/x", kFile, 6), entry_of("f", kFile, 6)}) == Paths{"d/x", "f"});
  CHECK(read("d/x") == "theirs");
  CHECK(read("f") == "theirs");
  CHECK(sys::read_file_at(AT_FDCWD, outside + "/x", 100) == "mine");
  CHECK(refusal({entry_of("d", kSymlink, 0, 1, outside), entry_of("d/x", kFile, 6)}) == ErrorCode::input);
  CHECK(sys::read_file_at(AT_FDCWD, outside + "/x", 100) == "mine");
}

TEST_CASE_FIXTURE(ReceiverTest, "lists that are not a sorted walk are refused") {
  CHECK(refusal({entry_of("b", kFile), entry_of("a", kFile)}) == ErrorCode::input);
  CHECK(refusal({entry_of("a", kFile), entry_of("a", kFile)}) == ErrorCode::input);
  CHECK(refusal({entry_of("a/x", kFile)}) == ErrorCode::input);
  CHECK(refusal({entry_of("a", kFile), entry_of("a/x", kFile)}) == ErrorCode::input);
  CHECK(refusal({entry_of("a", kDirectory), entry_of("b", kDirectory), entry_of("a/x", kFile)}) == ErrorCode::input);
  // By parts, not by the bytes of the path: '-' comes before '/'.
  CHECK(sync({entry_of("a", kDirectory), entry_of("a/x", kFile), entry_of("a-b", kFile)}).size() == 2);
}

TEST_CASE_FIXTURE(ReceiverTest, "numbers of entries, bytes and directories are bounded") {
  limits.entries = 2;
  CHECK(refusal({entry_of("a", kFile), entry_of("b", kFile), entry_of("c", kFile)}) == ErrorCode::input);
  limits = {};
  limits.bytes = 4;
  contents = {{"a", "123"}, {"b", "12"}};
  CHECK(refusal({entry_of("a", kFile, 3), entry_of("b", kFile, 2)}) == ErrorCode::input);
  limits = {};
  limits.depth = 2;
  CHECK(refusal({entry_of("a", kDirectory), entry_of("a/b", kDirectory)}) == ErrorCode::input);
  CHECK(sync({entry_of("a", kDirectory), entry_of("a/b", kFile)}) == Paths{"a/b"});
}

TEST_CASE_FIXTURE(ReceiverTest, "more data than a file has is refused, and data that nobody asked for") {
  contents["a"] = "12345";
  CHECK(refusal({entry_of("a", kFile, 4)}) == ErrorCode::input);
  TreeReceiver receiver(destination, limits, {}, [](std::uint32_t) {});
  receiver.add(entry_of("a", kFile, 4));
  CHECK_THROWS_AS(receiver.data(1, "x"), Error);
  receiver.data(0, "1234");
  receiver.data(0, {});
  CHECK_THROWS_AS(receiver.data(0, "x"), Error);
  CHECK_FALSE(receiver.complete());
  receiver.end_entries();
  CHECK(receiver.complete());
  CHECK_THROWS_AS(receiver.add(entry_of("b", kFile)), Error);
  CHECK_THROWS_AS(receiver.end_entries(), Error);
}

TEST_CASE_FIXTURE(ReceiverTest, "a file of size 0 may have data, as clients say that of some hard links") {
  contents["a"] = "12345";
  sync({entry_of("a", kFile, 0)});
  CHECK(read("a") == "12345");
  CHECK(result.incomplete.empty());
}

TEST_CASE_FIXTURE(ReceiverTest, "a file of which less came is named, kept, and asked for the next time") {
  contents["a"] = "12";
  sync({entry_of("a", kFile, 4)});
  CHECK(result.incomplete == Paths{"a"});
  CHECK(read("a") == "12");
  contents["a"] = "1234";
  CHECK(sync({entry_of("a", kFile, 4)}) == Paths{"a"});
  CHECK(result.incomplete.empty());
}

TEST_CASE_FIXTURE(ReceiverTest, "hard links follow their files") {
  contents["a"] = "1";
  sync({entry_of("a", kFile, 1), entry_of("b", kFile, 0, 1, "a"), entry_of("c", kFile, 0, 1, "a")});
  contents["a"] = "22";
  CHECK(sync({entry_of("a", kFile, 2), entry_of("b", kFile, 0, 1, "a"), entry_of("c", kFile, 0, 1, "a")}) ==
        Paths{"a"});
  CHECK(read("c") == "22");
  CHECK(stat("b").st_ino == stat("a").st_ino);
  // Two files of their own now: one keeps the inode.
  contents["b"] = "22";
  CHECK(sync({entry_of("a", kFile, 2), entry_of("b", kFile, 2)}) == Paths{"b"});
  CHECK(stat("b").st_ino != stat("a").st_ino);
}

TEST_CASE_FIXTURE(ReceiverTest, "hard links to what is not a file of the list are refused") {
  CHECK(refusal({entry_of("a", kFile, 0, 1, "nothing")}) == ErrorCode::input);
  CHECK(refusal({entry_of("a", kFile, 0, 1, "a")}) == ErrorCode::input);
  CHECK(refusal({entry_of("a", kSymlink, 0, 1, "/etc/passwd"), entry_of("b", kFile, 0, 1, "a")}) == ErrorCode::input);
  CHECK(refusal({entry_of("a", kSymlink, 0, 1, "/etc"), entry_of("b", kFile, 0, 1, "a/passwd")}) == ErrorCode::input);
  CHECK(refusal({entry_of("a", kDirectory), entry_of("b", kFile, 0, 1, "a")}) == ErrorCode::input);
  CHECK(refusal({entry_of("a", kFile), entry_of("b", kFile, 0, 1, "a"), entry_of("c", kFile, 0, 1, "b")}) ==
        ErrorCode::input);
}

TEST_CASE_FIXTURE(ReceiverTest, "after a sync that was broken off, what was not finished is asked for") {
  contents = {{"d/a", "1"}, {"d/b", "1"}};
  sync({entry_of("d", kDirectory, 0, 5), entry_of("d/a", kFile, 1), entry_of("d/b", kFile, 1)});
  const std::vector<FileStat> changed = {entry_of("d", kDirectory, 0, 6), entry_of("d/a", kFile, 2),
                                         entry_of("d/b", kFile, 2), entry_of("d/c", kFile, 2)};
  {
    TreeReceiver receiver(destination, limits, {}, [](std::uint32_t) {});
    for (const FileStat& entry : changed) receiver.add(entry);
    receiver.data(1, "22");
    receiver.data(1, {});
    receiver.data(2, "22");
  }
  CHECK(read("d/b") == "1");
  CHECK(mtime_ns(stat("d")) != 6);
  contents = {{"d/b", "22"}, {"d/c", "22"}};
  CHECK(sync(changed) == Paths{"d/b", "d/c"});
  CHECK(read("d/a") == "22");
  CHECK(read("d/b") == "22");
  CHECK(mtime_ns(stat("d")) == 6);
}

TEST_CASE_FIXTURE(ReceiverTest, "no more files are asked for at once than the limit, and their data may mix") {
  limits.in_flight = 2;
  std::vector<std::uint32_t> asked;
  TreeReceiver receiver(destination, limits, {}, [&](std::uint32_t number) { asked.push_back(number); });
  for (const char* name : {"a", "b", "c"}) receiver.add(entry_of(name, kFile, 2));
  receiver.end_entries();
  CHECK(asked == std::vector<std::uint32_t>{0, 1});
  receiver.data(0, "a");
  receiver.data(1, "b");
  receiver.data(1, "B");
  receiver.data(1, {});
  CHECK(asked == std::vector<std::uint32_t>{0, 1, 2});
  receiver.data(2, "cC");
  receiver.data(0, "A");
  receiver.data(2, {});
  receiver.data(0, {});
  REQUIRE(receiver.complete());
  receiver.finish();
  CHECK(read("a") == "aA");
  CHECK(read("b") == "bB");
  CHECK(read("c") == "cC");
}

TEST_CASE_FIXTURE(ReceiverTest, "a directory without rights for its owner is filled, emptied and removed") {
  const FileStat closed = entry_of("d", S_IFDIR | 0, 0, 5);
  sync({closed, entry_of("d/a", kFile)});
  CHECK(stat("d").st_mode == S_IFDIR);
  CHECK(sync({closed, entry_of("d/b", kFile)}) == Paths{"d/b"});
  CHECK(stat("d").st_mode == S_IFDIR);
  CHECK(mtime_ns(stat("d")) == 5);
  sync({});
  CHECK_FALSE(exists("d"));
}

TEST_CASE("a synced directory is locked as long as it is held") {
  const TempDir directory = TempDir::in_tmp("receiver-test-");
  const std::string path = directory.path() + "/copy";
  {
    const auto held = SyncedDirectory::try_lock(path);
    REQUIRE(held.has_value());
    CHECK(held->tree_path() == path + "/tree");
    CHECK_FALSE(SyncedDirectory::try_lock(path).has_value());
    CancelSource cancel;
    cancel.cancel();
    CHECK_THROWS_AS(SyncedDirectory::lock(path, &cancel), Error);
  }
  CHECK(SyncedDirectory::try_lock(path).has_value());
}

}  // namespace cbuild::api
