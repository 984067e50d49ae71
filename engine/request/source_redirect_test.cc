// SPDX-License-Identifier: Apache-2.0
#include "engine/request/source_redirect.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::engine {
namespace {

SourcePolicy one_rule(const std::string& action, const std::string& identifier, const std::string& updates = "null") {
  return SourcePolicy::parse("{\"rules\": [{\"action\": \"" + action + "\", \"selector\": {\"identifier\": \"" +
                             identifier + "\"}, \"updates\": " + updates + "}]}");
}

template <typename Call>
std::string error_of(const Call& call) {
  try {
    call();
    return "";
  } catch (const Error& error) {
    return error.code() == ErrorCode::denied ? "denied" : error.message();
  }
}

}  // namespace

TEST_CASE("images are matched by their full name, however they are written") {
  const SourcePolicy deny = one_rule("DENY", "docker-image://docker.io/library/busybox:latest");
  for (const char* text : {"busybox", "busybox:latest", "docker.io/busybox", "docker-image://busybox"}) {
    CAPTURE(text);
    CHECK(error_of([&] { redirect_image(deny, text); }) == "denied");
  }
  CHECK(redirect_image(deny, "busybox:1") == "busybox:1");
  CHECK(redirect_image(deny, "oci-layout:///l") == "oci-layout:///l");
  const SourcePolicy mirror =
      one_rule("CONVERT", "docker-image://docker.io/library/*", R"({"identifier": "docker-image://mirror/$1"})");
  CHECK(redirect_image(mirror, "busybox") == "docker-image://mirror/busybox:latest");
  CHECK(error_of([] {
          redirect_image(one_rule("CONVERT", "docker-image://*", R"({"identifier": "https://h/f"})"), "a");
        }).ends_with("another kind of source"));
  CHECK(error_of([] {
          redirect_image(one_rule("CONVERT", "docker-image://*", R"({"attrs": {"x": "y"}})"), "a");
        }).ends_with("which is not supported"));
}

TEST_CASE("a file by URL gets another URL and a checksum") {
  const std::string digest = "sha256:" + std::string(64, 'a');
  std::string url = "https://h/f";
  Digest expected;
  redirect_url(one_rule("CONVERT", "https://h/f",
                        R"({"identifier": "https://mirror/f", "attrs": {"http.checksum": ")" + digest + "\"}}"),
               url, expected);
  CHECK(url == "https://mirror/f");
  CHECK(expected.str() == digest);
  redirect_url(one_rule("CONVERT", "https://none", "{}"), url, expected);
  CHECK(url == "https://mirror/f");
  CHECK(error_of([&] {
          redirect_url(
              one_rule("CONVERT", "https://*", R"({"identifier": "https://mirror/f", "attrs": {"http.uid": "1"}})"),
              url, expected);
        }).ends_with("which is not supported"));
  CHECK(error_of([&] {
          redirect_url(
              one_rule("CONVERT", "https://*", R"({"identifier": "https://m", "attrs": {"http.checksum": "md5:1"}})"),
              url, expected);
        }).find("invalid http.checksum") != std::string::npos);
}

TEST_CASE("a repository is matched by host and path, whatever the protocol") {
  const SourcePolicy deny = one_rule("DENY", "git://h.org/a/b.git#*");
  for (const char* remote : {"https://h.org/a/b.git", "https://user@h.org/a/b.git", "https://u:p@ss@h.org/a/b.git",
                             "git@h.org:a/b.git", "git@h.org:/a/b.git", "ssh://git@h.org/a/b.git"}) {
    CAPTURE(remote);
    frontend::GitRef ref;
    ref.remote = remote;
    CHECK_NOTHROW(redirect_git(deny, ref));
    ref.ref = std::string(40, '1');
    CHECK(error_of([&] { redirect_git(deny, ref); }) == "denied");
  }
}

TEST_CASE("a repository gets another ref, checksum and place") {
  frontend::GitRef ref;
  ref.remote = "ssh://git@h.org/a/b.git";
  ref.ref = "main";
  ref.subdir = "sub";
  redirect_git(one_rule("CONVERT", "git://h.org/a/b.git#main:sub",
                        R"({"identifier": "git://h.org/a/b.git#v1:sub", "attrs": {"git.checksum": "abc"}})"),
               ref);
  CHECK(ref.remote == "ssh://git@h.org/a/b.git");
  CHECK(ref.ref == "v1");
  CHECK(ref.subdir == "sub");
  CHECK(ref.checksum == "abc");
  redirect_git(one_rule("CONVERT", "git://h.org/*", R"({"identifier": "git://mirror/$1"})"), ref);
  CHECK(ref.remote == "https://mirror/a/b.git");
  CHECK(ref.ref == "v1");
  redirect_git(one_rule("CONVERT", "git://mirror/*",
                        R"({"attrs": {"git.fullurl": "git://l/b"}, "identifier": "git://mirror/$1"})"),
               ref);
  CHECK(ref.remote == "git://l/b");
}

TEST_CASE("directories can be denied, not converted") {
  CHECK(error_of([] { permit_local(one_rule("DENY", "local://context"), "context"); }) == "denied");
  CHECK_NOTHROW(permit_local(one_rule("DENY", "local://context"), "dockerfile"));
  CHECK(error_of([] {
          permit_local(one_rule("CONVERT", "local://*", R"({"identifier": "git://h/a"})"), "context");
        }).ends_with("another kind of source"));
}

}  // namespace cbuild::engine
