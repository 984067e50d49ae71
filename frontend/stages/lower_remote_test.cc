// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/lower_remote.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::frontend {
namespace {

GitRef git(std::string_view text) {
  const std::optional<GitRef> ref = parse_git_ref(text, false);
  REQUIRE_MESSAGE(ref.has_value(), text);
  return *ref;
}

std::string git_error(std::string_view text) {
  try {
    parse_git_ref(text, false);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::input);
    return e.message();
  }
  return {};
}

TEST_CASE("URLs that are git remotes") {
  for (const char* text :
       {"git://example.com/x", "ssh://git@example.com:22/x", "https://github.com/a/b.git", "http://h/b.git#ref",
        "https://h/b.git?ref=x", "git@github.com:a/b.git", "user_1@host-2.x:path", "HTTPS://h/x.git"}) {
    CAPTURE(text);
    CHECK(parse_git_ref(text, false).has_value());
  }
  for (const char* text :
       {"https://github.com/a/b", "http://h/b.git.txt", "ftp://h/b.git", "github.com/a/b.git", "./x.git", "../git@h:x",
        "dir/file", "a:b", "@h:x", "git@h/x:y", "bad:user@h:x", "", "x.git"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_git_ref(text, false).has_value());
  }
}

TEST_CASE("github.com without a scheme is a remote only where that is asked for") {
  const std::optional<GitRef> ref = parse_git_ref("github.com/a/b#main", true);
  REQUIRE(ref.has_value());
  CHECK(ref->remote == "https://github.com/a/b");
  CHECK(ref->ref == "main");
}

TEST_CASE("fragments") {
  GitRef ref = git("https://h/x.git#v1.0:sub/dir/");
  CHECK(ref.remote == "https://h/x.git");
  CHECK(ref.ref == "v1.0");
  CHECK(ref.subdir == "sub/dir");
  ref = git("git@h:x.git#:../../etc");
  CHECK(ref.remote == "git@h:x.git");
  CHECK(ref.ref == "");
  CHECK(ref.subdir == "etc");
  CHECK(git("https://h/x.git") == GitRef{.remote = "https://h/x.git"});
}

TEST_CASE("queries") {
  const GitRef ref =
      git("https://h/x.git?branch=dev&subdir=a%2Fb&keep-git-dir&submodules=false&checksum=abc&mtime=commit");
  CHECK(ref.ref == "refs/heads/dev");
  CHECK(ref.subdir == "a/b");
  CHECK(ref.keep_git_dir == true);
  CHECK(ref.submodules == false);
  CHECK(ref.checksum == "abc");
  CHECK(ref.mtime == "commit");
  CHECK(git("https://h/x.git?tag=v1").ref == "refs/tags/v1");
  CHECK(git("https://h/x.git?tag=refs/tags/v1").ref == "refs/tags/v1");
  CHECK(git("https://h/x.git?ref=a#a").ref == "a");
  CHECK(git("https://h/x.git?commit=ff&fetch-by-commit=1").fetch_by_commit);
  CHECK(git("git@h:x.git?ref=main").ref == "main");
}

TEST_CASE("query errors") {
  CHECK(git_error("https://h/x.git?ref=a#b") == "ref conflicts: \"b\" vs \"a\"");
  CHECK(git_error("https://h/x.git?subdir=a#b:c") == "subdir conflicts: \"c\" vs \"a\"");
  CHECK(git_error("https://h/x.git?tag=a&branch=b") == "branch conflicts with tag");
  CHECK(git_error("https://h/x.git?tag=a#b") == "ref conflicts: \"b\" vs \"refs/tags/a\"");
  CHECK(git_error("https://h/x.git?nope=1") == "unexpected query \"nope\"");
  CHECK(git_error("https://h/x.git?ref") == "query \"ref\" has no value");
  CHECK(git_error("https://h/x.git?ref=a&ref=b") == "query \"ref\" has multiple values");
  CHECK(git_error("https://h/x.git?keep-git-dir=x") == "invalid keep-git-dir value: \"x\"");
  CHECK(git_error("https://h/x.git?submodules=x") == "invalid submodules value: \"x\"");
  CHECK(git_error("https://h/x.git?mtime=now") == "invalid mtime value: \"now\" (must be \"checkout\" or \"commit\")");
}

TEST_CASE("an http URL that is not a repository's is a file's") {
  CHECK(is_http_url("https://h/x.tar.gz"));
  CHECK(is_http_url("http://h/x.git/info"));
  CHECK_FALSE(is_http_url("https://h/x.git#main"));
  CHECK_FALSE(is_http_url("ftp://h/x"));
  CHECK_FALSE(is_http_url("x"));
}

TEST_CASE("file names of URLs") {
  CHECK(url_file_name("https://h/dir/x.tar.gz?sig=a/b#c") == "x.tar.gz");
  CHECK(url_file_name("https://h/a%20b") == "a b");
  CHECK(url_file_name("https://h/dir/") == "dir");
  CHECK(url_file_name("https://h/") == "__unnamed__");
  CHECK(url_file_name("https://h") == "__unnamed__");
  CHECK(url_file_name("https://h?x=/y") == "__unnamed__");
  CHECK(url_file_name("https://h/%zz%4") == "%zz%4");
}

TEST_CASE("commit ids") {
  CHECK(is_commit_id(std::string(40, 'a')));
  CHECK(is_commit_id(std::string(64, '0')));
  CHECK_FALSE(is_commit_id(std::string(39, 'a')));
  CHECK_FALSE(is_commit_id(std::string(40, 'g')));
}

}  // namespace
}  // namespace cbuild::frontend
