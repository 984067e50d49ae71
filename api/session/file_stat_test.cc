// SPDX-License-Identifier: Apache-2.0
#include "api/session/file_stat.h"

#include <doctest/doctest.h>

#include "api/proto/files.pb.h"
#include "base/error.h"

namespace cbuild::api {
namespace {

::fsutil::types::Stat stat_message(const std::string& path) {
  ::fsutil::types::Stat message;
  message.set_path(path);
  message.set_mode(0644);
  return message;
}

bool is_refused(const ::fsutil::types::Stat& message) {
  try {
    from_message(message);
  } catch (const Error& error) {
    return error.code() == ErrorCode::input;
  }
  return false;
}

}  // namespace

TEST_CASE("modes go to Go's and back") {
  const std::pair<mode_t, std::uint32_t> modes[] = {
      {S_IFREG | 0644, 0644},
      {S_IFDIR | 01777, (1u << 31) | (1u << 20) | 0777},
      {S_IFLNK | 0777, (1u << 27) | 0777},
      {S_IFREG | 06755, (1u << 23) | (1u << 22) | 0755},
      {S_IFBLK | 0600, (1u << 26) | 0600},
      {S_IFCHR | 0600, (1u << 26) | (1u << 21) | 0600},
      {S_IFIFO | 0600, (1u << 25) | 0600},
  };
  for (const auto& [here, go] : modes) {
    CHECK(mode_from_go(go) == here);
    CHECK(mode_to_go(here) == go);
  }
}

TEST_CASE("modes of no file of ours are refused") {
  for (const std::uint32_t mode : {1u << 24, 1u << 19, (1u << 31) | (1u << 27), 1u << 21})
    CHECK_THROWS_AS(mode_from_go(mode), Error);
}

TEST_CASE("an entry survives the way to a message and back") {
  FileStat entry{"a/b", S_IFREG | 0600, 3, 4, 5, -6, "", 0, 0, {{"user.a", "1"}, {"user.b", std::string("\0x", 2)}}};
  ::fsutil::types::Stat message;
  to_message(entry, message);
  const FileStat back = from_message(message);
  CHECK(back.path == "a/b");
  CHECK(back.mode == entry.mode);
  CHECK(back.uid == 3);
  CHECK(back.gid == 4);
  CHECK(back.size == 5);
  CHECK(back.mtime_ns == -6);
  CHECK(back.xattrs == entry.xattrs);
}

TEST_CASE("paths that are not clean, relative and inside are refused") {
  for (const std::string& path : {std::string(""), std::string("/a"), std::string("a//b"), std::string("./a"),
                                  std::string("a/."), std::string("../a"), std::string("a/../b"), std::string("a/"),
                                  std::string("a\0b", 3), std::string(256, 'n'), std::string("..")})
    CHECK(is_refused(stat_message(path)));
  std::string deep = "d";
  while (deep.size() < 4096) deep += "/d";
  CHECK(is_refused(stat_message(deep)));
  CHECK_FALSE(is_refused(stat_message("..a/b..")));
  CHECK_FALSE(is_refused(stat_message("\xff\xfe")));
}

TEST_CASE("hard links lead to clean paths, symbolic links anywhere") {
  ::fsutil::types::Stat message = stat_message("a");
  message.set_linkname("../b");
  CHECK(is_refused(message));
  message.set_mode((1u << 27) | 0777);
  CHECK_FALSE(is_refused(message));
}

TEST_CASE("sizes and device numbers below zero are refused") {
  ::fsutil::types::Stat message = stat_message("a");
  message.set_size(-1);
  CHECK(is_refused(message));
  message.set_size(0);
  message.set_devmajor(-1);
  CHECK(is_refused(message));
}

}  // namespace cbuild::api
