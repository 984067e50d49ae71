// SPDX-License-Identifier: Apache-2.0
// The racy rule: which files the table may remember. The program's own fstat() and fstatat() stand in for the C
// library's, so that files can have the times of a file system without fine ones.
#include "cache/content/stat_table.h"

#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/content/context_test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

/// The ctime and mtime of every file, in whole seconds; 0: the real ones.
thread_local time_t given_time = 0;
/// By how much the mtime differs from it.
thread_local time_t mtime_offset = 0;

void give_time(struct stat* st) {
  if (given_time == 0) return;
  st->st_ctim = {given_time, 0};
  st->st_mtim = {given_time + mtime_offset, 0};
}

struct CoarseTimes {
  explicit CoarseTimes(time_t seconds) { given_time = seconds; }
  ~CoarseTimes() { given_time = mtime_offset = 0; }
};

StatId changed_at(std::int64_t ctime_ns) { return {1, 2, 3, ctime_ns, ctime_ns}; }

std::size_t count_scans(const Context& context) { return sys::list_dir(context.scans.get()).size(); }

}  // namespace

extern "C" int fstat(int fd, struct stat* st) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH));
  if (result == 0) give_time(st);
  return result;
}

extern "C" int fstatat(int fd, const char* path, struct stat* st, int flags) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_newfstatat, fd, path, st, flags));
  if (result == 0) give_time(st);
  return result;
}

TEST_CASE("a file is settled when its clock has moved on") {
  const std::int64_t now = 1'700'000'000 * kSecond + 123'456'789;
  CHECK(is_settled(changed_at(now - 21'000'000), now));
  CHECK_FALSE(is_settled(changed_at(now - 20'000'000), now));
  CHECK_FALSE(is_settled(changed_at(now), now));
  CHECK_FALSE(is_settled(changed_at(now + kSecond + 1), now));  // a clock that was set back
}

TEST_CASE("where times have no fraction, a file is settled after two seconds") {
  const std::int64_t now = 1'700'000'002 * kSecond;
  CHECK(is_settled(changed_at(1'700'000'000 * kSecond), now + 1));
  CHECK_FALSE(is_settled(changed_at(1'700'000'000 * kSecond), now));
  CHECK_FALSE(is_settled(changed_at(1'700'000'001 * kSecond), now + 500'000'000));
  CHECK(is_settled(changed_at(1'700'000'001 * kSecond + 1), now));  // this one has fine times
}

TEST_CASE("a change that no time shows is seen while the file is not settled") {
  Context context;
  const CoarseTimes times(::time(nullptr) + 1000);
  write_file(context.fd(), "f", "aaaa");
  const Digest before = context.local(all_of());
  CHECK(context.local(all_of()) == before);
  CHECK(count_scans(context) == 0);
  write_file(context.fd(), "f", "bbbb");
  CHECK(context.local(all_of()) != before);
}

TEST_CASE("a settled file is read once: what counts is what its times say") {
  Context context;
  const CoarseTimes times(1'000'000'000);
  write_file(context.fd(), "f", "aaaa");
  const Digest before = context.local(all_of());
  CHECK(count_scans(context) == 1);
  write_file(context.fd(), "f", "bbbb");
  CHECK(context.local(all_of()) == before);
  write_file(context.fd(), "f", "bbbbb");  // another size
  const Digest longer = context.local(all_of());
  CHECK(longer != before);
  write_file(context.fd(), "f", "ccccc");
  SUBCASE("another ctime") { given_time += 1; }
  SUBCASE("another mtime") { mtime_offset = 1; }
  CHECK(context.local(all_of()) != longer);
}

TEST_CASE("every field of an id tells a file from another") {
  Context context;
  const UniqueFd dir = sys::open_at(AT_FDCWD, context.temp.path(), O_RDONLY | O_DIRECTORY);
  const StatId id{1, 2, 3, 4, 5};
  StatTable::Directories directories;
  directories["d"] = {{"a", {id, digest_of("a"), {}}}, {"b", {id, digest_of("b"), digest_of("xattrs")}}};
  directories[""] = {{"c", {id, digest_of("c"), {}}}};
  StatTable::write(dir.get(), "table", directories);
  const StatTable table = StatTable::load(dir.get(), "table");
  std::size_t hint = 0;
  const auto found = table.directory("d").find("b", hint);
  REQUIRE(found);
  CHECK(found->id == id);
  CHECK(found->content == digest_of("b"));
  CHECK(found->xattrs == digest_of("xattrs"));
  hint = 0;
  CHECK_FALSE(table.directory("d").find("c", hint));
  CHECK(table.directory("").size() == 1);
  CHECK(table.directory("e").size() == 0);
  for (const StatId& other : {StatId{9, 2, 3, 4, 5}, StatId{1, 9, 3, 4, 5}, StatId{1, 2, 9, 4, 5},
                              StatId{1, 2, 3, 9, 5}, StatId{1, 2, 3, 4, 9}})
    CHECK_FALSE(other == id);
}

TEST_CASE("a table with a flipped bit gives what it was told, or nothing") {
  Context context;
  const UniqueFd dir = sys::open_at(AT_FDCWD, context.temp.path(), O_RDONLY | O_DIRECTORY);
  const StatId id{1, 2, 3, 4, 5};
  StatTable::Directories directories;
  directories["d"] = {{"a", {id, digest_of("a"), {}}}, {"b", {id, digest_of("b"), digest_of("xattrs")}}};
  StatTable::write(dir.get(), "table", directories);
  const std::string whole = sys::read_file_at(dir.get(), "table", 1 << 20);
  std::size_t lost = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    CAPTURE(at);
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    sys::write_file_at(dir.get(), "table", damaged);
    const StatTable table = StatTable::load(dir.get(), "table");
    for (const auto& [name, cached] : directories["d"]) {
      std::size_t hint = 0;
      const auto found = table.directory("d").find(name, hint);
      lost += !found;
      CHECK((!found || (found->id == cached.id && found->content == cached.content && found->xattrs == cached.xattrs)));
    }
  }
  CHECK(lost > whole.size());  // padding aside, each changed byte is noticed
}
