// SPDX-License-Identifier: Apache-2.0
#include "cache/blob_places.h"

#include <doctest/doctest.h>

#include "cache/test_support.h"

namespace cbuild::cache {

using namespace testing;

TEST_CASE("where an image lies is told from a locator") {
  CHECK(image_reference("docker-image://r.test/a:1")->str() == "r.test/a:1");
  CHECK(image_reference("cache+docker-image://r.test/a:1")->str() == "r.test/a:1");
  CHECK_FALSE(image_reference("oci-layout:///tmp/a"));
  CHECK_FALSE(image_reference(""));
}

TEST_CASE("places of a blob are kept by registry, the newest first and a few at most") {
  TempStore temp;
  Store store(temp.options());
  const auto note = [&](const char* image) { note_blob_place(store, oci::parse_reference(image), digest_of("blob")); };
  CHECK(blob_places(store, "r.test", digest_of("blob")).empty());
  note("r.test/a:1");
  note("r.test/b:1");
  note("r.test/a:2");
  note("other.test/c:1");
  CHECK(blob_places(store, "r.test", digest_of("blob")) == std::vector<std::string>{"b", "a"});
  CHECK(blob_places(store, "other.test", digest_of("blob")) == std::vector<std::string>{"c"});
  CHECK(blob_places(store, "r.test", digest_of("other")).empty());
  for (const char* more : {"r.test/c", "r.test/d", "r.test/e"}) note(more);
  CHECK(blob_places(store, "r.test", digest_of("blob")) == std::vector<std::string>{"e", "d", "c", "b"});
}

}  // namespace cbuild::cache
