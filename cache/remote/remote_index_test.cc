// SPDX-License-Identifier: Apache-2.0
// The bytes of the index document, hostile documents, and how the builder merges.
#include "cache/remote/remote_index.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"
#include "cache/layer_tables.h"

namespace cbuild::cache {
namespace {

oci::Descriptor blob_of(const std::string& name) {
  oci::Descriptor blob;
  blob.media_type = std::string(oci::media_type::kLayerZstd);
  blob.digest = sha256("blob " + name);
  blob.size = 100 + name.size();
  return blob;
}

RemoteIndex::LayerEntry layer_of(const std::string& name) {
  return {sha256("diff " + name), blob_of(name), {}, "RUN " + name, 12345678901234567};
}

RemoteIndex sample() {
  RemoteIndex index;
  index.layers = {layer_of("base"), layer_of("a"), layer_of("b")};
  index.layers[0].origin = "docker-image://docker.io/library/debian:12@sha256:00";
  index.chains = {{-1, 0, sha256("i0")}, {0, 1, sha256("i1")}, {1, 2, sha256("i2")}};
  index.records = {{{sha256("content a"), sha256("definition a")},
                    1,
                    "[build 2/3] RUN a",
                    5,
                    6,
                    20000,
                    {{"op", "x"}, {"a \"b\"", ""}}},
                   {{sha256("content b")}, 2, "RUN b", 7, 0, 20001, {}},
                   {{sha256("nothing")}, -1, "", 0, 0, 20001, {}}};
  index.mounts = {{"/root/.cache", sha256("mount").hex(), sha256("tar"), blob_of("mount")}};
  return index;
}

std::string refusal(const std::string& text) {
  try {
    parse_remote_index(text);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    return error.what();
  }
  return "accepted";
}

/// The sample with one piece of its text replaced.
std::string altered(const std::string& from, const std::string& to) {
  const std::string text = to_json(sample());
  REQUIRE(text.find(from) != std::string::npos);
  return replace_all(text, from, to);
}

TEST_CASE("a cache index survives writing and reading") {
  CHECK(parse_remote_index(to_json(sample())) == sample());
  CHECK(parse_remote_index(to_json({})) == RemoteIndex{});
}

oci::Descriptor table_of(const std::string& name) {
  return {.media_type = kLayerTableType, .digest = sha256("table " + name), .size = 7};
}

TEST_CASE("tables of layers travel with them, and are never a reason to refuse a cache") {
  RemoteIndex index = sample();
  index.layers[0].table = table_of("base");
  const std::string text = to_json(index);
  CHECK(parse_remote_index(text) == index);
  CHECK(text.find(cat(R"("table":{"digest":")", sha256("table base").str(), R"(","size":7})")) != std::string::npos);
  for (const char* size : {"-7", "0", "99999999999"}) {
    const RemoteIndex odd = parse_remote_index(replace_all(text, R"("size":7})", cat(R"("size":)", size, "}")));
    CHECK(odd.layers[0].table.digest.empty());
  }
}

TEST_CASE("who merges keeps the tables that the other knows of the same layers") {
  RemoteIndex old = sample(), own = sample();
  old.layers[0].table = table_of("base");
  old.layers[1].table = table_of("old");
  own.layers[1].table = table_of("own");
  RemoteIndexBuilder builder;
  for (const RemoteIndex::LayerEntry& layer : own.layers) builder.layer(layer);
  builder.merge(old, {});
  const RemoteIndex merged = builder.take();
  REQUIRE(merged.layers.size() == 3);
  CHECK(merged.layers[0].table == table_of("base"));
  CHECK(merged.layers[1].table == table_of("own"));
  CHECK(merged.layers[2].table.digest.empty());
}

TEST_CASE("the bytes of a cache index are as documented") {
  RemoteIndex index;
  index.layers = {{sha256("d"), blob_of("x"), "docker-image://a/b@sha256:00", "RUN x", 9}};
  index.chains = {{-1, 0, sha256("i")}};
  index.records = {{{sha256("k"), sha256("l")}, 0, "RUN x", 5, 6, 7, {{"op", "o"}}}};
  CHECK(to_json(index) ==
        cat(R"({"version":1,"layers":[{"diffId":")", sha256("d").str(),
            R"(","blob":{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":")",
            blob_of("x").digest.str(),
            R"(","size":101},"origin":"docker-image://a/b@sha256:00","description":"RUN x","created":9}],)",
            R"("chains":[{"layer":0,"identity":")", sha256("i").str(), R"("}],"records":[{"keys":[")",
            sha256("k").str(), R"(",")", sha256("l").str(),
            R"("],"chain":0,"step":"RUN x","created":5,"duration":6,"usedDay":7,"parts":["op","o"]}]})"));
}

TEST_CASE("hostile cache indexes are refused") {
  CHECK(refusal("") != "accepted");
  CHECK(refusal("[]") != "accepted");
  CHECK(refusal("{}") == "cache index: \"version\" is missing");
  CHECK(refusal(std::string(5000, '[')) != "accepted");
  CHECK(refusal(altered(R"("parent":0)", R"("parent":1)")) == "cache index: \"parent\" 1 is out of range");
  CHECK(refusal(altered(R"("parent":1)", R"("parent":-7)")) == "cache index: \"parent\" -7 is out of range");
  CHECK(refusal(altered(R"("layer":2)", R"("layer":3)")) == "cache index: \"layer\" 3 is out of range");
  CHECK(refusal(altered(R"("layer":2,)", "")) == "cache index: a chain without a layer");
  CHECK(refusal(altered(R"("chain":2)", R"("chain":4000000000)")) != "accepted");
  CHECK(refusal(altered(R"("chain":2)", R"("chain":"2")")) != "accepted");
  CHECK(refusal(altered(sha256("i1").str(), "sha256:../../etc")) != "accepted");
  CHECK(refusal(altered(sha256("mount").hex(), "../../../etc/passwd")) == "cache index: a mount without a key");
  CHECK(refusal(altered("docker-image://", "oci-layout:///etc/")) == "cache index: an origin that is not an image");
  CHECK(refusal(altered("application/vnd.oci.image.layer.v1.tar+zstd", "text/html")) != "accepted");
  CHECK(refusal(altered(R"("size":101)", R"("size":-1)")) == "cache index: a blob of negative size");
  CHECK(refusal(altered(R"("op","x")", R"("op")")) == "cache index: \"parts\" is not a list of pairs");
  CHECK(refusal(R"({"version":1,"records":[{"keys":[]}]})") == "cache index: a record with 0 keys");
  CHECK(refusal(R"({"version":1,"records":[7]})") == "cache index: \"records\" is not an array of objects");
}

TEST_CASE("a cache index of a later version is not guessed at") {
  CHECK_THROWS_WITH_AS(parse_remote_index(R"({"version":2})"), "cache index: written by a later program, version 2",
                       Error);
}

TEST_CASE("the builder keeps each layer and chain once") {
  RemoteIndexBuilder builder;
  const std::size_t a = builder.layer(layer_of("a"));
  CHECK(builder.layer(layer_of("a")) == a);
  const std::int64_t chain = builder.chain(-1, a, sha256("i"));
  CHECK(builder.chain(-1, a, sha256("i")) == chain);
  CHECK(builder.chain(-1, a, sha256("other identity")) != chain);
  builder.record({{sha256("k"), sha256("d1")}, chain, "RUN", 1, 1, 5, {}});
  builder.record({{sha256("k"), sha256("d2")}, chain, "RUN", 1, 1, 9, {}});
  const RemoteIndex index = builder.take();
  REQUIRE(index.records.size() == 1);
  CHECK(index.records[0].keys == std::vector{sha256("k"), sha256("d1"), sha256("d2")});
  CHECK(index.records[0].used_day == 9);
}

TEST_CASE("a definition stays with the result that it gave") {
  RemoteIndexBuilder builder;
  const std::int64_t mine = builder.chain(-1, builder.layer(layer_of("mine")), sha256("i"));
  builder.record({{sha256("k"), sha256("d1")}, mine, "RUN", 1, 1, 9, {}});
  RemoteIndexBuilder others;
  const std::int64_t theirs = others.chain(-1, others.layer(layer_of("theirs")), sha256("i"));
  others.record({{sha256("k"), sha256("d1"), sha256("d2")}, theirs, "RUN", 1, 1, 8, {}});
  others.record({{sha256("k"), sha256("d3")}, theirs, "RUN", 1, 1, 8, {}});
  builder.merge(others.take(), {.since_day = 1});
  const RemoteIndex index = builder.take();
  REQUIRE(index.records.size() == 2);
  CHECK(index.records[0].keys == std::vector{sha256("k"), sha256("d1")});
  CHECK(index.records[0].chain == mine);
  CHECK(index.records[1].keys == std::vector{sha256("d2"), sha256("d3")});
  REQUIRE(index.records[1].chain >= 0);
  CHECK(index.layers[index.chains[static_cast<std::size_t>(index.records[1].chain)].layer] == layer_of("theirs"));
  CHECK(parse_remote_index(to_json(index)) == index);
}

TEST_CASE("two blobs of which a diff id is claimed are two layers") {
  RemoteIndexBuilder builder;
  RemoteIndex::LayerEntry honest = layer_of("a"), lie = honest;
  lie.blob.digest = sha256("another blob");
  CHECK(builder.layer(honest) != builder.layer(lie));
}

TEST_CASE("merging keeps records of others and drops those that nobody used") {
  RemoteIndexBuilder builder;
  const std::int64_t fresh = builder.chain(-1, builder.layer(layer_of("fresh")), sha256("fresh"));
  builder.record({{sha256("content a"), sha256("mine")}, fresh, "RUN a", 1, 1, 20005, {}});
  builder.merge(sample(), {.since_day = 20001});
  const RemoteIndex old = builder.take();
  // "content a" is ours; its old record is too old to add its definition key.
  REQUIRE(old.records.size() == 3);
  CHECK(old.records[0].keys == std::vector{sha256("content a"), sha256("mine")});
  CHECK(old.records[0].chain == fresh);
  CHECK(old.records[1].keys == std::vector{sha256("content b")});
  CHECK(old.records[2].chain == -1);
  CHECK(old.layers.size() == 4);
  CHECK(old.mounts == sample().mounts);
  CHECK(parse_remote_index(to_json(old)) == old);
}

TEST_CASE("layers that no record needs are not merged") {
  RemoteIndexBuilder builder;
  builder.merge(sample(), {.since_day = 30000});
  const RemoteIndex merged = builder.take();
  CHECK(merged.records.empty());
  CHECK(merged.layers.empty());
  CHECK(merged.chains.empty());
}

}  // namespace
}  // namespace cbuild::cache
