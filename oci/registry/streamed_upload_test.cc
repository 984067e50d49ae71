// SPDX-License-Identifier: Apache-2.0
// Uploads of blobs that are still being written, and what may happen to them.
#include "oci/registry/streamed_upload.h"

#include "oci/registry/fault_table.h"

using namespace cbuild;
using namespace cbuild::oci;
using namespace cbuild::oci::registry;

namespace {

struct StreamFixture : FaultFixture {
  std::string content = varied_content(300'000) + "end";
  Descriptor layer = put_blob(layout.blobs(), content, std::string(media_type::kLayerGzip));
  const std::string key = "team/app@" + layer.digest.str();

  /// Sends the blob in three parts, as it would grow; whole if that does not work. Whether it did.
  bool stream(Client& client) {
    registry.blobs.erase(key);
    const auto upload = client.begin_upload(ref);
    const UniqueFd file = layout.blobs().open(layer.digest);
    for (const std::uint64_t end : {100'000ul, 200'000ul, content.size()})
      if (!upload->send(file.get(), end)) return false;
    return upload->finish(layer.digest);
  }
  std::string stored() const {
    const auto found = registry.blobs.find(key);
    return found == registry.blobs.end() ? "" : found->second;
  }
};

}  // namespace

TEST_CASE_FIXTURE(StreamFixture, "a blob is sent in chunks while it grows and gets its name at the end") {
  CHECK(stream(client()));
  CHECK(stored() == content);
  CHECK(registry.server->count("PATCH", "/uploads/") == 3);
  CHECK(registry.server->count("HEAD", "") == 0);
  CHECK(registry.server->count("DELETE", "") == 0);
  for (const http::FakeRequest& request : registry.server->log())
    if (request.method == "PUT") CHECK(request.body.empty());
  CHECK(registry.violations.empty());
}

TEST_CASE_FIXTURE(StreamFixture, "an upload that is not finished is cancelled and leaves no blob") {
  {
    const auto upload = client().begin_upload(ref);
    CHECK(upload->send(layout.blobs().open(layer.digest).get(), 100'000));
    CHECK(upload->sent() == 100'000);
    CHECK(registry.uploads.size() == 1);
  }
  CHECK(registry.uploads.empty());
  CHECK(stored().empty());
}

TEST_CASE_FIXTURE(StreamFixture, "faults of a streamed upload are repaired, or it is given up") {
  const Change lost = with_status(404, {}, R"({"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]})");
  const Change half_taken = [&](http::FakeResponse& r) {  // the connection breaks in a chunk
    for (auto& [path, came] : registry.uploads) came.resize(came.size() - 50'000);
    r.hang_up = true;
  };
  const Change forgetful = [&](http::FakeResponse& r) {
    for (auto& [path, came] : registry.uploads) came.clear();
    header("Range", "0-0")(r);
  };
  const std::string no = "whole";
  struct Row : FaultRow {
    bool works;
  };
  const Row rows[] = {
      {{"reset once", "PATCH", "/uploads/", 1, kHangUp}, true},
      {{"reset in a chunk", "PATCH", "/uploads/", 1, half_taken}, true},
      {{"always reset", "PATCH", "/uploads/", kAlways, half_taken, kWorks, "", 40}, false},
      {{"503 once", "PATCH", "/uploads/", 1, with_status(503)}, true},
      {{"503 twice, then the state is lost", "GET", "/uploads/", kAlways, lost, kWorks, "", 0}, true},
      {{"429 once", "PATCH", "/uploads/", 1, with_status(429, {{"Retry-After", "0"}})}, true},
      {{"416 once", "PATCH", "/uploads/", 1, with_status(416)}, true},
      {{"416 always", "PATCH", "/uploads/", kAlways, with_status(416), kWorks, "", 15}, true},  // but the bytes came
      {{"the upload is lost", "PATCH", "/uploads/", kAlways, lost, kWorks, "", 5}, false},
      {{"no chunks", "PATCH", "/uploads/", kAlways, with_status(405), kWorks, "", 1}, false},
      {{"too large", "PATCH", "/uploads/", kAlways, with_status(413), kWorks, "", 1}, false},
      {{"nothing is kept", "PATCH", "/uploads/", kAlways, forgetful, kWorks, "", 1}, false},
      {{"less is kept than it says", "PATCH", "/uploads/", 1, both(forgetful, header("Range", "0-99999"))}, true},
      {{"a page", "PATCH", "/uploads/", kAlways, kPage, kWorks, "", 3}, true},
      {{"garbage once", "PATCH", "/uploads/", 1, raw(kGarbage)}, true},
      {{"elsewhere", "PATCH", "/uploads/", 1, header("Location", "file:///etc/passwd"), kWorks, "", 1}, false},
      {{"the digest is refused", "PUT", "/uploads/", kAlways, with_status(400), kWorks, "", 1}, false},
      {{"the last answer is lost", "PUT", "/uploads/", 1, kHangUp, kWorks, "", 2}, false},
      {{"503 at the end once", "PUT", "/uploads/", 1, with_status(503), kWorks, "", 2},
       false},  // the fake has it by then
      {{"another digest at the end", "PUT", "/uploads/", 1, header("Docker-Content-Digest", sha256("y").str())}, false},
  };
  for (const Row& row : rows) {
    const std::string name = row.name;
    CAPTURE(name);
    inject(row);
    Client fresh(options);
    const bool works = stream(fresh);
    CHECK(works == row.works);
    CHECK(meant() <= row.most);
    if (works) CHECK(stored() == content);
    if (!works) {
      fresh.push_blob(ref, layer, layout.blobs(), std::nullopt);
      CHECK(stored() == content);
    }
    CHECK(registry.uploads.empty());  // what was given up was cancelled
  }
}

TEST_CASE_FIXTURE(StreamFixture, "a refusal of chunks is told from faults that pass") {
  registry.takes_chunks = false;
  const UniqueFd file = layout.blobs().open(layer.digest);
  const auto refused = client().begin_upload(ref);
  CHECK_FALSE(refused->send(file.get(), 1000));
  CHECK(refused->was_refused());
  CHECK_FALSE(refused->send(file.get(), 2000));
  registry.takes_chunks = true;
  const FaultRow gone{"gone", "PATCH", "/uploads/", kAlways, with_status(404)};
  inject(gone);
  const auto lost = client().begin_upload(ref);
  CHECK_FALSE(lost->send(file.get(), 1000));
  CHECK_FALSE(lost->was_refused());
}

TEST_CASE_FIXTURE(StreamFixture, "a registry may want larger chunks, within reason") {
  const auto least_for = [&](const std::string& text) {
    registry.alter = [&](const http::FakeRequest& request, http::FakeResponse& response) {
      if (request.method == "POST") response.headers.emplace_back("OCI-Chunk-Min-Length", text);
    };
    return client().begin_upload(ref)->least();
  };
  CHECK(least_for("1") == 4u << 20);
  CHECK(least_for("10000000") == 10'000'000);
  CHECK(least_for("99999999999999") == 256u << 20);
  CHECK(least_for("-5") == 4u << 20);
  CHECK(least_for("x") == 4u << 20);
}

TEST_CASE_FIXTURE(StreamFixture, "an upload needs the right to push, once") {
  registry.wants_token = true;
  CHECK(stream(client()));
  CHECK(stored() == content);
  CHECK(registry.misused_tokens == 0);
  CHECK(registry.server->count("GET", "/token") == 1);
}
