// SPDX-License-Identifier: Apache-2.0
#include "oci/sha512.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/layout.h"
#include "oci/manifest.h"
#include "oci/reference.h"

using namespace cbuild;
using namespace cbuild::oci;

namespace {

// FIPS 180-2, appendix C.1.
constexpr std::string_view kAbc =
    "sha512:"
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce8"
    "0e2a9ac94fa54ca49f";

struct LayoutFixture {
  TempDir dir = TempDir::in_tmp("sha512-test");
  ImageLayout layout = ImageLayout::create(dir.path() + "/layout");
  ImageLayout store = ImageLayout::create(dir.path() + "/store");

  /// A blob of the layout that is named by sha512.
  Descriptor put(const std::string& content, const std::string& name_of) {
    Descriptor out;
    out.media_type = media_type::kLayer;
    out.sha512 = sha512(name_of);
    out.size = content.size();
    sys::mkdir_all(dir.fd(), "layout/blobs/sha512", 0755);
    sys::write_file_at(dir.fd(), "layout/blobs/sha512/" + out.sha512.substr(7), content);
    return out;
  }
};

}  // namespace

TEST_CASE("sha512 in one piece and in several") {
  CHECK(sha512("abc") == kAbc);
  Sha512 hash;
  for (const char* part : {"a", "", "bc"}) hash.update(std::as_bytes(std::span(std::string_view(part))));
  CHECK(hash.finish() == kAbc);
  CHECK(is_sha512(kAbc));
  for (const std::string& bad :
       {std::string(), std::string(kAbc.substr(1)), std::string(kAbc) + "0", "sha512:" + std::string(127, 'a'),
        "sha512:" + std::string(128, 'A'), "sha256:" + std::string(128, 'a')}) {
    CAPTURE(bad);
    CHECK_FALSE(is_sha512(bad));
  }
}

TEST_CASE("manifests by sha512 are for readers that say so") {
  const std::string text = cat(R"({"schemaVersion":2,"config":{"mediaType":"c","digest":")", kAbc,
                               R"(","size":3},"layers":[{"mediaType":"l","digest":"sha256:)", std::string(64, 'a'),
                               R"(","size":1},{"mediaType":"l","digest":")", kAbc, R"(","size":3}]})");
  CHECK_THROWS_AS(parse_manifest(text), Error);
  const auto document = parse_manifest(text, {}, Digests::any);
  const auto& manifest = std::get<Manifest>(document);
  CHECK(manifest.config.sha512 == kAbc);
  CHECK(manifest.config.digest.empty());
  CHECK(manifest.config.name() == kAbc);
  CHECK(manifest.layers[0].sha512.empty());
  CHECK(manifest.layers[1].sha512 == kAbc);
  CHECK(has_sha512(manifest));
  CHECK(std::get<Manifest>(parse_manifest(to_json(manifest), {}, Digests::any)) == manifest);
  Manifest plain = manifest;
  plain.config.sha512.clear();
  CHECK(has_sha512(plain));
  plain.layers.pop_back();
  CHECK_FALSE(has_sha512(plain));
}

TEST_CASE("references by sha512") {
  const Reference one = parse_reference(cat("example.com/app@", kAbc));
  CHECK(one.sha512 == kAbc);
  CHECK_FALSE(one.digest);
  CHECK(one.tag.empty());
  CHECK(one.str() == cat("example.com/app@", kAbc));
  CHECK(parse_reference(cat("app:1@", kAbc)).familiar() == cat("app:1@", kAbc));
  CHECK_THROWS_AS(parse_reference("app@sha512:abc"), Error);
}

TEST_CASE_FIXTURE(LayoutFixture, "a blob of a layout is verified with sha512 and stored under its sha256") {
  const Descriptor blob = put("content", "content");
  CHECK(copy_file(layout.open_blob(blob).get(), store.blobs(), blob) == sha256("content"));
  CHECK(read_blob(store.blobs(), sha256("content")) == "content");
  const Descriptor wrong = put("other content", "content of the name");
  CHECK_THROWS_AS(copy_file(layout.open_blob(wrong).get(), store.blobs(), wrong), Error);
  CHECK_FALSE(store.blobs().size(sha256("other content")));
  Descriptor shorter = blob;
  shorter.size = 3;
  CHECK_THROWS_AS(copy_file(layout.open_blob(shorter).get(), store.blobs(), shorter), Error);
  Descriptor missing = blob;
  missing.sha512 = sha512("nowhere");
  CHECK_THROWS_AS(layout.open_blob(missing), Error);
}

TEST_CASE_FIXTURE(LayoutFixture, "an image of a layout is found by its sha512") {
  Manifest manifest;
  manifest.config = put("{}", "{}");
  const std::string body = to_json(manifest);
  Index index;
  index.manifests = {put(body, body)};
  index.manifests[0].media_type = media_type::kManifest;
  layout.write_index(index);
  CHECK(layout.find("@" + sha512(body)) == index.manifests[0]);
  CHECK(layout.find("") == index.manifests[0]);
  CHECK_THROWS_AS(layout.find("@" + sha512("other")), Error);
}
