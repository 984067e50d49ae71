// SPDX-License-Identifier: Apache-2.0
// The requests of the S3 store, against a server of the test that keeps objects as the protocol says and compares each
// signature with its own computation of it. The end-to-end case object-cache runs against a real server.
#include "cache/objects/s3_store.h"

#include <doctest/doctest.h>

#include <mutex>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/objects/fake_s3.h"
#include "cache/objects/test_support.h"

namespace cbuild::cache {
namespace {

struct S3Fixture {
  FakeS3 service;
  TempDir dir = TempDir::in_tmp("s3-test");
  std::vector<std::string> warnings;
  std::mutex mutex;  // guards warnings
  S3Place place{"bucket", "here", http::parse_url(service.server.url("/")), true, FakeS3::account(), 1000};
  ObjectOptions options;

  S3Fixture() {
    options.retry_delay = std::chrono::milliseconds(1);
    options.now_s = [] { return FakeS3::kNow_s; };
    options.warn = [this](const std::string& text) {
      const std::lock_guard lock(mutex);
      warnings.push_back(text);
    };
  }
  ~S3Fixture() { CHECK(service.violations == std::vector<std::string>{}); }

  std::unique_ptr<ObjectStore> open() { return open_s3(place, options); }
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
  ErrorCode failure(const std::function<void()>& action, std::string* what = nullptr) {
    try {
      action();
    } catch (const Error& error) {
      if (what != nullptr) *what = error.what();
      return error.code();
    }
    return ErrorCode::internal;
  }
};

}  // namespace

TEST_CASE_FIXTURE(S3Fixture, "objects are written and read") {
  const auto store = open();
  put(*store, "p/blobs/sha256:ab c", "content");
  CHECK(service.objects.begin()->second == "content");
  CHECK(store->get("p/blobs/sha256:ab c", 100)->content == "content");
  CHECK(store->status("p/blobs/sha256:ab c")->size == 7);
  CHECK(store->status("p/blobs/sha256:ab c")->modified_s == FakeS3::kNow_s);
  CHECK(fetch(*store, "p/blobs/sha256:ab c") == "content");
  CHECK_FALSE(store->get("none", 100));
  CHECK_FALSE(store->status("none"));
  CHECK(failure([&] { fetch(*store, "none"); }) == ErrorCode::not_found);
  CHECK(failure([&] { store->get("p/blobs/sha256:ab c", 3); }) == ErrorCode::network);
  store->touch("p/blobs/sha256:ab c", 7);
  CHECK(service.copies == 1);
}

TEST_CASE_FIXTURE(S3Fixture, "large objects go in parts") {
  const auto store = open();
  std::string content;
  for (int i = 0; content.size() < 10'500; ++i) content += cat(i, ' ');
  put(*store, "large", content);
  CHECK(service.objects.at("/bucket/large") == content);
  CHECK(service.uploads.empty());
  CHECK(service.server.count("PUT", "/bucket/large") == content.size() / 1000 + 1);
}

TEST_CASE_FIXTURE(S3Fixture, "an upload in parts that fails is given up") {
  service.script = [](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.param("partNumber") == "3") return FakeS3::error(403, "AccessDenied");
    return std::nullopt;
  };
  const auto store = open();
  std::string what;
  CHECK(failure([&] { put(*store, "large", std::string(5000, 'x')); }, &what) == ErrorCode::denied);
  CHECK(what.find("AccessDenied: no") != std::string::npos);
  CHECK(service.uploads.empty());
  CHECK(service.objects.empty());
}

TEST_CASE_FIXTURE(S3Fixture, "an answer of 200 can be an error") {
  service.script = [](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.method != "POST" || r.param("uploadId").empty()) return std::nullopt;
    http::FakeResponse out = FakeS3::error(200, "InternalError");
    return out;
  };
  const auto store = open();
  CHECK(failure([&] { put(*store, "large", std::string(5000, 'x')); }) == ErrorCode::network);
  CHECK(service.uploads.empty());
}

TEST_CASE_FIXTURE(S3Fixture, "a name is written only over what was read") {
  const auto one = open(), two = open();
  CHECK(one->put_if("index", "1", ""));
  CHECK_FALSE(two->put_if("index", "2", ""));
  const auto read = two->get("index", 100);
  CHECK(one->put_if("index", "3", one->get("index", 100)->version));
  CHECK_FALSE(two->put_if("index", "4", read->version));
  CHECK(service.objects.at("/bucket/index") == "3");
  service.objects.clear();
  CHECK_FALSE(two->put_if("index", "5", read->version));
  CHECK(warnings.empty());
}

TEST_CASE_FIXTURE(S3Fixture, "a service without conditions is written to with a warning") {
  service.conditional = false;
  const auto store = open();
  CHECK(store->put_if("index", "1", ""));
  CHECK(store->put_if("index", "2", "\"x\""));
  CHECK(service.objects.at("/bucket/index") == "2");
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("no conditional writes") != std::string::npos);
}

TEST_CASE_FIXTURE(S3Fixture, "passing faults are passed over") {
  unsigned left = 2;
  service.script = [&](const http::FakeRequest&) -> std::optional<http::FakeResponse> {
    if (left == 0) return std::nullopt;
    if (--left == 0) return http::FakeResponse{.hang_up = true};
    return FakeS3::error(503, "SlowDown");
  };
  const auto store = open();
  put(*store, "a", "content");
  left = 2;
  CHECK(fetch(*store, "a") == "content");
  left = 2;
  CHECK(store->get("a", 100)->content == "content");
  CHECK_FALSE(warnings.empty());
}

TEST_CASE_FIXTURE(S3Fixture, "a wrong account and a missing bucket say so, without the secret") {
  std::string what;
  service.script = [](const http::FakeRequest& r) -> std::optional<http::FakeResponse> {
    if (r.path == "/bucket/denied") return FakeS3::error(403, "test-secret");
    return FakeS3::error(404, "NoSuchBucket");
  };
  const auto store = open();
  CHECK(failure([&] { store->get("denied", 100); }, &what) == ErrorCode::denied);
  CHECK(what.find("s3://bucket: read denied: ") != std::string::npos);
  CHECK(what.find("test-secret") == std::string::npos);
  CHECK(failure([&] { store->get("x", 100); }, &what) == ErrorCode::not_found);
  CHECK(what.find("NoSuchBucket") != std::string::npos);
}

TEST_CASE("where buckets are") {
  // Nobody listens: the message names the place that was tried.
  const auto tried = [](S3Place place) {
    ObjectOptions options;
    options.max_attempts = 1;
    place.keys = FakeS3::account();
    place.region = "eu-west-1";
    place.bucket = "b";
    try {
      open_s3(place, options)->get("k", 10);
      return std::string("no error");
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  CHECK(tried({{}, {}, http::parse_url("http://127.0.0.1:9/base"), false, {}, 1}).find("s3://b: read k:") !=
        std::string::npos);
  CHECK(tried({{}, {}, http::parse_url("http://invalid.invalid"), false, {}, 1}).find("b.invalid.invalid") !=
        std::string::npos);
  CHECK(tried({{}, {}, http::parse_url("http://invalid.invalid"), true, {}, 1}).find("b.invalid.invalid") ==
        std::string::npos);
}

}  // namespace cbuild::cache
