// SPDX-License-Identifier: Apache-2.0
// Requests against a service of the test. The end-to-end case object-cache-gha has Azurite behind its service.
#include "cache/objects/gha_store.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "cache/objects/fake_gha.h"
#include "cache/objects/gha_token.h"
#include "cache/objects/test_support.h"

namespace cbuild::cache {
namespace {

constexpr std::int64_t kGhaNow_s = 1767323045;

struct GhaFixture {
  FakeGha service;
  TempDir dir = TempDir::in_tmp("gha-test");
  ObjectOptions options;
  GhaPlace place{*http::parse_url(service.server.url("/x/")),
                 FakeGha::token(),
                 "",
                 "",
                 *http::parse_url(service.server.url("/")),
                 1000};

  GhaFixture() { options.retry_delay = std::chrono::milliseconds(1); }
  std::unique_ptr<ObjectStore> open() { return open_gha(place, options); }
  void put(ObjectStore& store, const std::string& name, const std::string& content) {
    sys::write_file_at(dir.fd(), "content", content);
    const UniqueFd file = sys::open_at(dir.fd(), "content", O_RDONLY);
    store.put(name, {file.get(), content.size(), sha256(content)});
  }
  std::string fetch(ObjectStore& store, const std::string& name) {
    std::string out;
    store.fetch(
        name, [&] { return std::make_unique<KeptText>(out); }, nullptr);
    return out;
  }
};

ErrorCode code_of_token(const std::string& token) {
  try {
    gha_scopes(token, kGhaNow_s);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

}  // namespace

TEST_CASE("the scopes of a token") {
  const std::vector<GhaScope> scopes = {{"refs/heads/topic", true}, {"refs/heads/main", false}};
  CHECK(gha_scopes(FakeGha::token(), kGhaNow_s) == scopes);
  CHECK(code_of_token(FakeGha::token(kGhaNow_s)) == ErrorCode::denied);
  for (const char* text : {"", "a.b", "a.b.c", "e30.e30.x", "..", "e30.bnVsbA.x"})
    CHECK(code_of_token(text) == ErrorCode::denied);
}

TEST_CASE_FIXTURE(GhaFixture, "an entry is written once, whole or in blocks, and read back") {
  const auto store = open();
  const std::string large(2500, 'x');
  CHECK_FALSE(store->status("small"));
  put(*store, "small", "content");
  put(*store, "large", large);
  CHECK(store->status("small")->size == 7);
  CHECK(fetch(*store, "small") == "content");
  CHECK(fetch(*store, "large") == large);
  CHECK(service.server.count("PUT", "/blob/1") == 4);  // three blocks and their list
  put(*store, "small", "content");                     // another job was faster
  CHECK(service.entries.size() == 2);
  CHECK(service.server.count("PUT", "/blob/0") == 1);
}

TEST_CASE_FIXTURE(GhaFixture, "only the whole key finds a blob") {
  const auto store = open();
  put(*store, "name-longer", "content");
  CHECK_FALSE(store->status("name"));
  CHECK_THROWS_AS(fetch(*store, "name"), Error);
}

TEST_CASE_FIXTURE(GhaFixture, "an entry that the service removed is missing") {
  const auto store = open();
  put(*store, "a", "content");
  CHECK(store->put_if("index", "one", ""));
  service.entries.clear();
  CHECK_FALSE(store->status("a"));
  CHECK_FALSE(store->get("index", 100));
  CHECK_THROWS_AS(fetch(*store, "a"), Error);
  put(*store, "a", "content");
  CHECK(store->status("a"));
}

TEST_CASE_FIXTURE(GhaFixture, "a new version is a new entry, and only one writer makes it") {
  const auto store = open(), other = open();
  CHECK_FALSE(store->get("index", 100));
  CHECK(store->put_if("index", "one", ""));
  const auto first = store->get("index", 100);
  REQUIRE(first);
  CHECK(first->content == "one");
  CHECK(other->put_if("index", "two", first->version));
  CHECK_FALSE(store->put_if("index", "three", first->version));
  const auto second = store->get("index", 100);
  CHECK(second->content == "two");
  CHECK(store->put_if("index", "three", second->version));
  CHECK(store->get("index", 100)->content == "three");
  CHECK(service.entries.size() == 3);
}

TEST_CASE_FIXTURE(GhaFixture, "a number that a job reserved and never wrote is passed over") {
  const auto store = open();
  CHECK(store->put_if("index", "one", ""));
  service.entries.push_back({"index#2", service.entries[0].version, "", false});
  CHECK(store->put_if("index", "three", store->get("index", 100)->version));
  CHECK(service.entries.back().key == "index#3");
  CHECK(store->get("index", 100)->content == "three");
}

TEST_CASE_FIXTURE(GhaFixture, "entries of other programs are not seen") {
  service.entries.push_back({"a", "another", "content", true});
  CHECK_FALSE(open()->status("a"));
}

TEST_CASE_FIXTURE(GhaFixture, "with an account for the REST API blobs are listed once") {
  place.repository = "o/r";
  place.github_token = "gh";
  service.is_listed = true;
  const std::string name = cat(kGhaBlobPrefix, "a");
  put(*open(), name, "content");
  const auto store = open();
  CHECK(store->status(name)->size == 7);
  CHECK_FALSE(store->status(cat(kGhaBlobPrefix, "b")));
  CHECK(service.server.count("GET", "/repos/o/r/actions/caches") == 1);
  CHECK(service.server.count("POST", "GetCacheEntryDownloadURL") == 0);
  service.is_listed = false;
  std::vector<std::string> warnings;
  options.warn = [&](const std::string& text) { warnings.push_back(text); };
  const auto asking = open();
  CHECK(asking->status(name)->size == 7);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("one by one") != std::string::npos);
}

TEST_CASE_FIXTURE(GhaFixture, "a token that the service refuses is named, and not repeated") {
  place.token = "e30.e30.secret-token";
  try {
    open()->status("a");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::denied);
    CHECK(std::string(error.what()).find("secret-token") == std::string::npos);
  }
}

}  // namespace cbuild::cache
