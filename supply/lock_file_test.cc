// SPDX-License-Identifier: Apache-2.0
#include "supply/lock_file.h"

#include <doctest/doctest.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::supply {
namespace {

const std::string kLockDigest = sha256("x").str(), kLockCommit(40, 'a');

LockFile lock_example() {
  return {{"linux/amd64", "linux/arm64"},
          {{LockKind::git, "https://host/a.git#v1", kLockCommit, "refs/tags/v1"},
           {LockKind::url, "https://host/file", kLockDigest, ""},
           {LockKind::image, "docker.io/library/alpine:3.20", kLockDigest, ""}}};
}

std::string lock_refusal(const std::string& text) {
  try {
    parse_lock_file(text, "x.lock");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::input);
    return error.what();
  }
  return "";
}

TEST_CASE("A lock file reads back as it was written, sorted by kind and name") {
  const LockFile read = parse_lock_file(to_json(lock_example()), "x.lock");
  CHECK(read.platforms == lock_example().platforms);
  REQUIRE(read.sources.size() == 3);
  CHECK(read.sources[0] == lock_example().sources[2]);
  CHECK(read.sources[1] == lock_example().sources[1]);
  CHECK(read.sources[2] == lock_example().sources[0]);
  CHECK(to_json(read) == to_json(lock_example()));
  CHECK(read.find(LockKind::url, "https://host/file")->digest == kLockDigest);
  CHECK(read.find(LockKind::image, "https://host/file") == nullptr);
}

TEST_CASE("A lock file that does not pin everything it names is refused") {
  const auto with = [](const std::string& source) { return cat(R"({"version":1,"sources":[)", source, "]}"); };
  CHECK(lock_refusal("[]").find("x.lock: it is not a JSON object") != std::string::npos);
  CHECK(lock_refusal("{}").find("version") != std::string::npos);
  CHECK(lock_refusal(R"({"version":2})").find("version") != std::string::npos);
  CHECK(lock_refusal(with(R"({"image":"a:1"})")).find("invalid digest of a:1") != std::string::npos);
  CHECK(lock_refusal(with(R"({"image":"a:1","digest":"sha256:12"})")).find("invalid digest") != std::string::npos);
  CHECK(lock_refusal(with(R"({"git":"https://h/a.git","commit":"main"})")).find("invalid commit") != std::string::npos);
  CHECK(lock_refusal(with(cat(R"({"git":"https://h/a.git","ref":"main","commit":")", kLockCommit, "\"}")))
            .find("invalid ref") != std::string::npos);
  CHECK(lock_refusal(with(cat(R"({"digest":")", kLockDigest, "\"}"))).find("no name") != std::string::npos);
  const std::string one = cat(R"({"url":"https://h/f","digest":")", kLockDigest, "\"}");
  CHECK(lock_refusal(with(cat(one, ",", one))).find("twice") != std::string::npos);
  CHECK(lock_refusal(with(cat(R"({"image":"a:1","url":"https://h/f","digest":")", kLockDigest, "\"}")))
            .find("more than one") != std::string::npos);
  CHECK(lock_refusal(R"({"version":1,"platforms":["?"],"sources":[]})").find("invalid platform") != std::string::npos);
}

TEST_CASE("Names in a lock file have no account") {
  CHECK(lock_name("https://me:secret@host/f?x=1") == "https://host/f?x=1");
  CHECK(lock_name("https://me:secret@host/a.git", "v1") == "https://host/a.git#v1");
  CHECK(lock_name("git@host:a/b.git") == "git@host:a/b.git");
}

}  // namespace
}  // namespace cbuild::supply
