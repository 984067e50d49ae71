// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/pull_fixture.h"

namespace cbuild::oci::registry {

namespace {

std::string manifest_of(const std::string& config) {
  Manifest out;
  out.config = descriptor_of(config);
  out.config.media_type = media_type::kConfig;
  return to_json(out);
}

}  // namespace

std::string varied_content(std::size_t size) {
  std::string out(size, '\0');
  std::uint32_t x = 1;
  for (char& c : out) {
    x = x * 1664525 + 1013904223;
    c = static_cast<char>(x >> 24);
  }
  return out;
}

PullFixture::PullFixture()
    : manifest(manifest_of(config)), blob(varied_content(300'000)), descriptor(descriptor_of(blob)) {
  registry.add_manifest("team/app", "1", manifest);
  registry.add_blob("team/app", blob);
}

PullFixture::~PullFixture() { CHECK(registry.violations == std::vector<std::string>{}); }

void PullFixture::script_blobs(std::vector<http::FakeResponse> responses) {
  registry.script = [responses,
                     n = std::size_t{0}](const http::FakeRequest& r) mutable -> std::optional<http::FakeResponse> {
    if (!is_blob(r) || n >= responses.size()) return std::nullopt;
    return responses[n++];
  };
}

void PullFixture::check_fetched() {
  fetch();
  CHECK(read_blob(layout.blobs(), descriptor.digest) == blob);
}

}  // namespace cbuild::oci::registry
