// SPDX-License-Identifier: Apache-2.0
// Signatures against values that were computed with Python; requests against a server of the test that keeps blobs. The
// end-to-end case object-cache-azure runs against Azurite.
#include "cache/objects/azure_store.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/objects/fake_azure.h"
#include "cache/objects/test_support.h"

namespace cbuild::cache {
namespace {

constexpr std::int64_t kAzureNow_s = FakeAzure::kNow_s;
const AzureAccount kAzureAccount = FakeAzure::account();

std::string header_of(const http::Request& request, std::string_view name) {
  for (const auto& [key, value] : request.headers)
    if (key == name) return value;
  return {};
}

struct AzureFixture {
  FakeAzure service;
  TempDir dir = TempDir::in_tmp("azure-test");
  ObjectOptions options;
  AzurePlace place{*http::parse_url(service.server.url("/devstoreaccount1")), "c", kAzureAccount, 1000};

  AzureFixture() {
    options.retry_delay = std::chrono::milliseconds(1);
    options.now_s = [] { return kAzureNow_s; };
  }
  std::unique_ptr<ObjectStore> open() { return open_azure(place, options); }
  void put(ObjectStore& store, const std::string& name, const std::string& content) {
    sys::write_file_at(dir.fd(), "content", content);
    const UniqueFd file = sys::open_at(dir.fd(), "content", O_RDONLY);
    store.put(name, {file.get(), content.size(), sha256(content)});
  }
};

}  // namespace

TEST_CASE("the signature of a request") {
  http::Request request;
  request.method = "PUT";
  request.url = *http::parse_url("http://127.0.0.1:10000/devstoreaccount1/c/a%3Ab?comp=block&blockid=MDAwMDAwMDA%3D");
  request.headers = {{"x-ms-blob-type", "BlockBlob"}, {"If-None-Match", "*"}};
  sign_azure(request, 7, kAzureAccount, kAzureNow_s);
  CHECK(header_of(request, "x-ms-date") == "Fri, 02 Jan 2026 03:04:05 GMT");
  CHECK(header_of(request, "Authorization") ==
        "SharedKey devstoreaccount1:CQa1ujukYD8UtFCKawUhq2uJktx75rdoxJVkxmaFIV0=");
}

TEST_CASE("a URL that needs no header, of a blob") {
  const http::Url url = presign_azure(*http::parse_url("http://127.0.0.1:10000/devstoreaccount1/c/a%3Ab"),
                                      kAzureAccount, "c", "a:b", kAzureNow_s + 21600);
  CHECK(url.query ==
        "?sv=2020-12-06&sp=r&sr=b&se=2026-01-02T09%3A04%3A05Z&sig=R7W2kcnmFNOBXEyWr078s0BQEBpIS%2Fini4UMlKnYwQc%3D");
}

TEST_CASE_FIXTURE(AzureFixture, "blobs are written and read") {
  const auto store = open();
  CHECK_FALSE(store->get("a:b", 100));
  put(*store, "a:b", "content");
  CHECK(service.container);
  CHECK(store->get("a:b", 100)->content == "content");
  CHECK(store->status("a:b")->size == 7);
  CHECK(store->status("a:b")->modified_s == kAzureNow_s);
  CHECK_FALSE(store->status("none"));
  store->touch("a:b", 7);
  std::string out;
  store->fetch(
      "a:b", [&] { return std::make_unique<KeptText>(out); }, nullptr);
  CHECK(out == "content");
}

TEST_CASE_FIXTURE(AzureFixture, "large blobs go in blocks") {
  const auto store = open();
  std::string content;
  for (int i = 0; content.size() < 12'345; ++i) content += cat(i, ' ');
  put(*store, "large", content);
  CHECK(store->get("large", 1 << 20)->content == content);
  CHECK(service.blocks.size() == content.size() / 1000 + 1);
}

TEST_CASE_FIXTURE(AzureFixture, "a name is written only over what was read") {
  const auto one = open(), two = open();
  CHECK(one->put_if("index", "1", ""));
  CHECK_FALSE(two->put_if("index", "2", ""));
  const auto read = two->get("index", 100);
  CHECK(one->put_if("index", "3", one->get("index", 100)->version));
  CHECK_FALSE(two->put_if("index", "4", read->version));
  CHECK(one->get("index", 100)->content == "3");
}

TEST_CASE_FIXTURE(AzureFixture, "a shared access signature takes the place of the key, and is not told") {
  place.account.reset();
  place.account_url.query = "?sv=1&sig=se%2Fcret";
  const auto store = open();
  CHECK(store->put_if("index", "1", ""));
  CHECK(store->get("index", 100)->content == "1");
  place.account_url.query = "?sv=1";
  try {
    open()->get("index", 100);
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::denied);
    CHECK(std::string(error.what()).find("azblob c: read index: HTTP 403 AuthenticationFailed: no") !=
          std::string::npos);
  }
}

}  // namespace cbuild::cache
