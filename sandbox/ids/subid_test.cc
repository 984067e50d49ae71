// SPDX-License-Identifier: Apache-2.0
#include "sandbox/ids/subid.h"

#include <doctest/doctest.h>

using namespace cbuild::sandbox;

TEST_CASE("ranges are found by name and by number, in order; malformed lines are skipped") {
  const char text[] =
      "alice:100000:65536\n"
      "bob:200000:65536\n"
      "1000:300000:1000\n"
      "# comment\n"
      "alice:400000:10\r\n"
      "alice:x:10\n"
      "alice:500000\n"
      "alice:500000:0\n"
      "alice:-5:10\n"
      "alice:4294967295:10\n"
      ":1:1\n";
  CHECK(parse_subids(text, "alice", 1000) == std::vector<IdRange>{{100000, 65536}, {300000, 1000}, {400000, 10}});
  CHECK(parse_subids(text, "", 1000) == std::vector<IdRange>{{300000, 1000}});
  CHECK(parse_subids(text, "carol", 5).empty());
  CHECK(parse_subids("", "alice", 1000).empty());
}

TEST_CASE("ranges of another source are those that getsubids prints") {
  CHECK(parse_getsubids("0: alice 100000 65536\n1: alice 300000 10\n") ==
        std::vector<IdRange>{{100000, 65536}, {300000, 10}});
  CHECK(parse_getsubids("Error fetching ranges\n0: alice 5\n0: alice x 5\n0: alice 4294967295 10\nalice 1 1 1\n")
            .empty());
}

TEST_CASE("nsswitch.conf says whether there is another source of ranges") {
  CHECK(has_subid_source("passwd: files\nsubid:\t sss\n"));
  CHECK(has_subid_source("subid: sss files"));
  CHECK(has_subid_source(" SubID:ldap\n"));
  for (const char* files : {"", "passwd: sss\n", "subid: files\n", "subid: files sss\n", "subid:\n", "#subid: sss\n",
                            "subid: # none\n", "subid sss\n"})
    CHECK_MESSAGE(!has_subid_source(files), std::string(files));
}

TEST_CASE("a map starts with the own id and appends the ranges") {
  const std::vector<IdRange> ranges = {{100000, 65536}, {300000, 10}};
  CHECK(map_ids(1000, ranges) == std::vector<IdMapping>{{0, 1000, 1}, {1, 100000, 65536}, {65537, 300000, 10}});
  CHECK(map_ids(7, {}) == std::vector<IdMapping>{{0, 7, 1}});
  CHECK(map_text(map_ids(1000, ranges)) == "0 1000 1\n1 100000 65536\n65537 300000 10\n");
}

TEST_CASE("the identity map covers the ids of the outer map") {
  CHECK(identity_map("         0          0 4294967295\n") == std::vector<IdMapping>{{0, 0, 4294967295}});
  CHECK(identity_map("0 1000 1\n1 100000 65536\n") == std::vector<IdMapping>{{0, 0, 1}, {1, 1, 65536}});
  CHECK(identity_map("nonsense\n").empty());
}
