// SPDX-License-Identifier: Apache-2.0
#include "api/session/content_store.h"

#include <doctest/doctest.h>

#include <cstring>

#include "api/session/fake_client.h"
#include "base/error.h"

namespace cbuild::api {
namespace {

using namespace test;

/// Gives the text in parts of 700 bytes.
std::function<std::size_t(std::span<std::byte>)> source_of(const std::string& text) {
  return [&text, at = std::size_t{0}](std::span<std::byte> buffer) mutable {
    const std::size_t size = std::min({buffer.size(), text.size() - at, std::size_t{700}});
    std::memcpy(buffer.data(), text.data() + at, size);
    at += size;
    return size;
  };
}

std::string read_part(ContentStore& store, const Digest& digest, std::uint64_t offset, std::uint64_t size) {
  std::string result;
  store.read(digest, offset, size, [&](std::string_view part) { result += part; });
  return result;
}

}  // namespace

TEST_CASE("a client's content is written once and read in parts") {
  FakeClient client({});
  const auto store = client.session().content("local:cache", nullptr);
  std::string text;
  for (int i = 0; i < 1000; ++i) text += std::to_string(i);
  const Digest digest = sha256(text);
  CHECK_FALSE(store->size(digest).has_value());
  CHECK_THROWS_AS(read_part(*store, digest, 0, 0), Error);
  client.behaviour().content_part = "of a broken transfer";
  client.behaviour().locked_writes = 1;
  store->write("ref", digest, text.size(), source_of(text));
  CHECK(client.behaviour().content.at(digest.str()) == text);
  CHECK(store->size(digest) == text.size());
  CHECK(read_part(*store, digest, 0, 0) == text);
  CHECK(read_part(*store, digest, 10, 1500) == text.substr(10, 1500));
  bool asked = false;
  store->write("ref", digest, text.size(), [&](std::span<std::byte>) {
    asked = true;
    return std::size_t{0};
  });
  CHECK_FALSE(asked);
}

TEST_CASE("content that is shorter than asked for is corrupt, on both ways") {
  FakeClient client({});
  const auto store = client.session().content("local:cache", nullptr);
  const Digest digest = sha256("abc");
  client.behaviour().content[digest.str()] = "abc";
  CHECK_THROWS_AS(read_part(*store, digest, 0, 4), Error);
  CHECK_THROWS_AS(store->write("r", sha256("abcd"), 4, source_of("abc")), Error);
  CHECK_THROWS_AS(store->write("r", sha256("abcd"), 3, source_of("abc")), Error);
  CHECK_FALSE(client.session().content("local:other", nullptr)->size(digest).has_value());
}

TEST_CASE("a client that is gone ends a write of content") {
  FakeClient client({});
  const auto store = client.session().content("local:cache", nullptr);
  const std::string text(3000, 'x');
  const auto parts = source_of(text);
  const auto leave = [&](std::span<std::byte> buffer) {
    client.vanish();
    return parts(buffer);
  };
  const Awaiting wait("the end of the write");
  CHECK_THROWS_AS(store->write("r", sha256(text), text.size(), leave), Error);
  CHECK_THROWS_AS(store->write("r", sha256(text), text.size(), source_of(text)), Error);
}

TEST_CASE("empty content is written") {
  FakeClient client({});
  const std::string nothing;
  client.session().content("local:cache", nullptr)->write("r", sha256(nothing), 0, source_of(nothing));
  CHECK(client.behaviour().content.contains(sha256(nothing).str()));
}

}  // namespace cbuild::api
