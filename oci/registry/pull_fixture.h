// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include "base/text.h"
#include "oci/registry/fake_registry.h"

namespace cbuild::oci::registry {

/// A registry with one image ("team/app:1") and one blob, and a client to pull them with.
struct PullFixture : ClientFixture {
  PullFixture();
  ~PullFixture();

  FakeRegistry registry;
  const std::string config = R"({"rootfs":{"type":"layers","diff_ids":[]}})";
  const std::string manifest, blob;
  Reference ref = registry.reference("team/app:1");
  Descriptor descriptor;

  static bool is_blob(const http::FakeRequest& r) { return r.path.find("/blobs/") != std::string::npos; }
  static bool is_manifest(const http::FakeRequest& r) { return r.path.find("/manifests/") != std::string::npos; }
  std::size_t blob_requests() const { return registry.server->count("GET", "/blobs/"); }
  http::FakeResponse whole() const { return {.body = blob}; }
  /// Answers the n-th request for a blob (from 0) with the n-th response, the rest as usual.
  void script_blobs(std::vector<http::FakeResponse> responses);
  void fetch() { client().fetch_blob(ref, descriptor, layout.blobs()); }
  void check_fetched();
};

/// Bytes that differ at each place.
std::string varied_content(std::size_t size);

}  // namespace cbuild::oci::registry
