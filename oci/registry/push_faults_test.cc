// SPDX-License-Identifier: Apache-2.0
// Faults of a registry against a client that writes (fault_table.h).
#include "oci/registry/fault_table.h"

using namespace cbuild;
using namespace cbuild::oci;
using namespace cbuild::oci::registry;

TEST_CASE_FIXTURE(FaultFixture, "faults of a push") {
  const std::string content = varied_content(200'000) + "end";
  const Descriptor layer = put_blob(layout.blobs(), content, std::string(media_type::kLayerGzip));
  const Change lost = [&](http::FakeResponse& r) {
    registry.blobs.erase("team/app@" + layer.digest.str());
    r = error_response(404, "BLOB_UPLOAD_UNKNOWN", "x");
  };
  const FaultRow rows[] = {
      {"HEAD is unknown", "HEAD", "/blobs/", kAlways, with_status(405)},
      {"HEAD fails", "HEAD", "/blobs/", kAlways, with_status(500)},
      {"HEAD finds one of another size", "HEAD", "/blobs/", 1, with_status(200, {{"Content-Length", "5"}})},
      {"no transport once", "POST", "/uploads/", 1, with_status(503)},
      {"no transport", "POST", "/uploads/", kAlways, with_status(503), ErrorCode::network, "HTTP 503", 5},
      {"reset once", "POST", "/uploads/", 1, kHangUp},
      {"no place to send it", "POST", "/uploads/", kAlways, header("Location", ""), ErrorCode::network,
       "names no place", 1},
      {"it claims to have it", "POST", "/uploads/", kAlways, with_status(201), ErrorCode::network, "HTTP 201", 1},
      {"the transport is lost once", "PUT", "/uploads/", 1, lost},
      {"the transport is always lost", "PUT", "/uploads/", kAlways, lost, ErrorCode::not_found, "BLOB_UPLOAD_UNKNOWN",
       5},
      {"the answer is lost", "PUT", "/uploads/", 1, kHangUp, kWorks, "", 2},
      {"429 once", "PUT", "/uploads/", 1, with_status(429, {{"Retry-After", "0"}})},
      {"413", "PUT", "/uploads/", kAlways, with_status(413, {}, "<html>"), ErrorCode::network,
       "HTTP 413 Content Too Large", 1},
      {"read only", "PUT", "/uploads/", kAlways, with_status(403), ErrorCode::denied, "HTTP 403", 1},
      {"no digest in the answer", "PUT", "/uploads/", 1, kNoDigest, kWorks, "", 1},
      {"another digest in the answer", "PUT", "/uploads/", 1, header("Docker-Content-Digest", sha256("y").str()),
       ErrorCode::corrupt, "stored", 1},
  };
  const auto push = [&](Client& c) {
    registry.blobs.erase("team/app@" + layer.digest.str());
    c.push_blob(ref, layer, layout.blobs(), std::nullopt);
    return registry.blobs.at("team/app@" + layer.digest.str());
  };
  check(rows, content, push);
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a mount") {
  const Descriptor layer = put_blob(layout.blobs(), "mount me", std::string(media_type::kLayerGzip));
  registry.add_blob("base/os", "mount me");
  const FaultRow rows[] = {
      {"refused", "POST", "/uploads/", 1, with_status(405), kWorks, "", 2},
      {"not found", "POST", "/uploads/", 1, with_status(404), kWorks, "", 2},
      {"denied", "POST", "/uploads/", 1, with_status(403), kWorks, "", 2},
      {"fails for a moment", "POST", "/uploads/", 1, with_status(503), kWorks, "", 2},
  };
  check(rows, "mount me", [&](Client& c) {
    registry.blobs.erase("team/app@" + layer.digest.str());
    c.push_blob(ref, layer, layout.blobs(), registry.reference("base/os"));
    return registry.blobs.at("team/app@" + layer.digest.str());
  });
}

TEST_CASE_FIXTURE(FaultFixture, "faults of a pushed manifest") {
  const FaultRow rows[] = {
      {"500 once", "PUT", "/manifests/", 1, with_status(500)},
      {"reset once", "PUT", "/manifests/", 1, kHangUp},
      {"429 once", "PUT", "/manifests/", 1, with_status(429, {{"Retry-After", "0"}})},
      {"another digest", "PUT", "/manifests/", 1, header("Docker-Content-Digest", sha256("y").str()),
       ErrorCode::corrupt, "stored", 1},
      {"no digest", "PUT", "/manifests/", 1, kNoDigest, kWorks, "", 1},
      {"refused", "PUT", "/manifests/", kAlways, with_status(400, {}, R"({"errors":[{"code":"MANIFEST_INVALID"}]})"),
       ErrorCode::network, "MANIFEST_INVALID", 1},
  };
  check(rows, sha256(manifest).str(),
        [&](Client& c) { return c.push_manifest(ref, media_type::kManifest, manifest).str(); });
}
