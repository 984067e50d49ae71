// SPDX-License-Identifier: Apache-2.0
#include "sandbox/ids/users.h"

#include <doctest/doctest.h>

#include <map>

#include "base/error.h"

using namespace cbuild;
using namespace cbuild::sandbox;

namespace {

ImageFileReader image(const std::string& passwd, const std::string& group) {
  return [=](const std::string& path) -> std::optional<std::string> {
    if (path == "/etc/passwd") return passwd;
    if (path == "/etc/group") return group;
    return std::nullopt;
  };
}

const ImageFileReader kEmptyImage = [](const std::string&) { return std::nullopt; };

const char kPasswd[] =
    "root:x:0:0:root:/root:/bin/sh\n"
    "\n"
    "  # a comment\n"
    "bob:x:1000:2000:Bob:/home/bob:/bin/sh\n"
    "bob:x:1:1:second:/nope:/bin/sh\n"
    "1:x:77:77:digits as a name:/seven:/bin/sh\n"
    "nohome:x:5:5\n"
    "broken:x::0:/\n"
    "minus:x:-1:0::/\n";
const char kGroup[] =
    "root:x:0:root\n"
    "bob:x:2000:\n"
    "wheel:x:10:alice,bob\n"
    "audio:x:29:bob,root\n"
    "bad:x:y:bob\n";

ResolvedUser user(const std::string& spec) { return resolve_user(spec, image(kPasswd, kGroup)); }

}  // namespace

TEST_CASE("an empty USER is root with root's groups") {
  const ResolvedUser root = user("");
  CHECK(root.uid == 0);
  CHECK(root.gid == 0);
  CHECK(root.home == "/root");
  CHECK(root.additional_gids == std::vector<gid_t>{0, 29});
}

TEST_CASE("a name gives its first entry and its groups, the primary one first") {
  const ResolvedUser bob = user("bob");
  CHECK(bob.uid == 1000);
  CHECK(bob.gid == 2000);
  CHECK(bob.home == "/home/bob");
  CHECK(bob.additional_gids == std::vector<gid_t>{2000, 10, 29});
}

TEST_CASE("digits are an id and never a name (CVE-2026-30892 read \"1\" as 0)") {
  CHECK(resolve_user("1", kEmptyImage).uid == 1);
  CHECK(resolve_user("1", kEmptyImage).gid == 0);
  CHECK(user("77").home == "/seven");
  const ResolvedUser one = user("1");
  CHECK(one.uid == 1);
  CHECK(one.gid == 1);
}

TEST_CASE("a numeric uid with an entry takes its group and memberships, without one gid 0") {
  CHECK(user("1000").gid == 2000);
  CHECK(user("1000").additional_gids == std::vector<gid_t>{2000, 10, 29});
  CHECK(user("4242").gid == 0);
  CHECK(user("4242").additional_gids == std::vector<gid_t>{0});
  CHECK(user("4242").home == "/");
}

TEST_CASE("a named group replaces the memberships; the primary gid stays among the groups (CVE-2023-25173)") {
  CHECK(user("bob:wheel").gid == 10);
  CHECK(user("bob:wheel").additional_gids == std::vector<gid_t>{10});
  CHECK(user("1000:555").additional_gids == std::vector<gid_t>{555});
  CHECK(user("bob:10").gid == 10);
  CHECK(user("0:0").uid == 0);
  CHECK(user(":wheel").uid == 0);
  CHECK(user(":wheel").gid == 10);
}

TEST_CASE("unknown names and impossible ids are the user's error") {
  for (const char* spec :
       {"nobody", "bob:nogroup", "-1", "2147483648", "99999999999999999999", "bob:-5", "broken", "minus"})
    CHECK_THROWS_AS_MESSAGE(user(spec), Error, spec);
  CHECK_THROWS_AS(resolve_user("bob", kEmptyImage), Error);
  try {
    user("alice");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::input);
    CHECK(error.message() == "unable to find user alice: no matching entries in passwd file");
  }
}

TEST_CASE("a short passwd line is not a reason to fail") { CHECK(user("nohome").home == "/"); }

TEST_CASE("chown: numbers, names, and 0 for unknown names") {
  const auto read = image(kPasswd, kGroup);
  using Owner = std::pair<uid_t, gid_t>;
  CHECK(resolve_chown("55", read) == Owner{55, 55});
  CHECK(resolve_chown("55:66", read) == Owner{55, 66});
  CHECK(resolve_chown("bob", read) == Owner{1000, 2000});
  CHECK(resolve_chown("bob:wheel", read) == Owner{1000, 10});
  CHECK(resolve_chown("bob:66", read) == Owner{1000, 66});
  CHECK(resolve_chown("55:wheel", read) == Owner{55, 10});
  CHECK(resolve_chown("nobody", read) == Owner{0, 0});
  CHECK(resolve_chown("nobody:nogroup", read) == Owner{0, 0});
  CHECK(resolve_chown("bob:nogroup", read) == Owner{1000, 2000});
  CHECK(resolve_chown("root:root", kEmptyImage) == Owner{0, 0});
  CHECK(resolve_chown("2147483647:2147483648", read) == Owner{2147483647, 2147483647});  // the latter is a name
  CHECK(resolve_chown("4294967294:1", read) == Owner{0, 1});
  CHECK(resolve_chown("1", read) == Owner{1, 1});
  CHECK(resolve_chown("bob", kEmptyImage) == Owner{0, 0});
}
