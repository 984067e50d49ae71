// SPDX-License-Identifier: Apache-2.0
// Manifests are claims: a diff id from outside names a layer only once its content has been seen to match.
#include "cache/claimed_layer.h"

#include <doctest/doctest.h>

#include <set>

#include "cache/packer.h"
#include "cache/test_support.h"
#include "cache/unpacker.h"
#include "oci/layer/pack.h"
#include "oci/table_annotations.h"

namespace cbuild::cache {
namespace {

using namespace testing;

/// A layer that another store has made, as a manifest names it.
struct Honest {
  TempStore place;
  Store far{place.options()};
  Layer layer;

  explicit Honest(const std::string& content = "honest") {
    const Chain chain = add_file_layer(far, {}, "f", content);
    Packer packer(far, {});
    const Layer made = packer.finish(chain.id).back();
    layer.diff_id = made.diff_id;
    layer.blob = made.blob;
    layer.fetch_from = "docker-image://registry.test/honest:1";
  }
  BlobFetcher fetcher(Store&) {
    return [this](const Layer& wanted, oci::BlobStore& into) {
      oci::put_blob(into, oci::read_blob(far.blobs(), wanted.blob->digest), wanted.blob->media_type);
    };
  }
};

std::string read_f(Store& store, const Digest& layer) {
  return sys::read_file_at(store.open_tree(layer).get(), "f", 100);
}

}  // namespace

TEST_CASE("a manifest that lies about a diff id stands for itself alone") {
  Honest honest;
  const Honest other("lie");
  Layer lie = other.layer;
  lie.diff_id = honest.layer.diff_id;
  TempStore temp;
  Store store(temp.options());
  const auto unpack = [&](const Layer& claim, const Honest& from) {
    const Digest id = add_claimed_layer(store, claim);
    materialize(store, store.extend({}, id, {}).id, const_cast<Honest&>(from).fetcher(store), nullptr, nullptr);
    return id;
  };
  SUBCASE("the lie first") {
    CHECK_THROWS_AS(unpack(lie, other), Error);
    CHECK(read_f(store, unpack(honest.layer, honest)) == "honest");
  }
  SUBCASE("the lie known first, but not unpacked") {
    const Digest claimed = add_claimed_layer(store, lie);
    CHECK(read_f(store, unpack(honest.layer, honest)) == "honest");
    CHECK(claimed != add_claimed_layer(store, honest.layer));
    CHECK_THROWS_AS(unpack(lie, other), Error);
  }
  SUBCASE("the lie last") {
    CHECK(read_f(store, unpack(honest.layer, honest)) == "honest");
    CHECK_THROWS_AS(unpack(lie, other), Error);
  }
}

TEST_CASE("what was found to be a lie is forgotten with what stood on it") {
  const Honest honest;
  Honest other("lie");
  Layer lie = other.layer;
  lie.diff_id = honest.layer.diff_id;
  TempStore temp;
  Store store(temp.options());
  const Digest id = add_claimed_layer(store, lie);
  const Chain chain = store.extend({}, id, {});
  store.publish(record_of(digest_of("key"), chain.id));
  CHECK_THROWS_AS(materialize(store, chain.id, other.fetcher(store), nullptr, nullptr), Error);
  CHECK_FALSE(store.find(digest_of("key")));
  CHECK_FALSE(store.layer(id));
}

TEST_CASE("a claim is about content, not about where it lies or which tool names it") {
  const Honest honest;
  oci::Descriptor blob = *honest.layer.blob;
  const Digest claim = claim_id(honest.layer.diff_id, blob);
  blob.media_type = std::string(oci::media_type::kDockerLayerForeign);
  blob.urls = {"https://elsewhere.test/"};
  CHECK(claim_id(honest.layer.diff_id, blob) == claim);
  blob.media_type = std::string(oci::media_type::kLayerZstd);
  CHECK(claim_id(honest.layer.diff_id, blob) != claim);
  blob = *honest.layer.blob;
  ++blob.size;
  CHECK(claim_id(honest.layer.diff_id, blob) != claim);
  CHECK(claim_id(digest_of("another"), *honest.layer.blob) != claim);
}

TEST_CASE("what a manifest says of a table of contents in the blob is part of the claim") {
  const Honest honest;
  const Digest claim = claim_id(honest.layer.diff_id, *honest.layer.blob);
  std::set<Digest> seen{claim};
  for (const std::string_view name : {oci::kStargzTable, oci::kChunkedTable})
    for (const char* table : {"one", "two"}) {
      oci::Descriptor blob = *honest.layer.blob;
      blob.annotations["other"] = "annotation";
      blob.annotations[std::string(oci::kChunkedPlace)] = "1:2:3:1";
      CHECK(claim_id(honest.layer.diff_id, blob) == claim);
      blob.annotations[std::string(name)] = "no digest";
      CHECK(claim_id(honest.layer.diff_id, blob) == claim);
      blob.annotations[std::string(name)] = digest_of(table).str();
      CHECK(seen.insert(claim_id(honest.layer.diff_id, blob)).second);
    }
}

TEST_CASE("a layer that is not here is fetched from the image that named it last") {
  Honest honest;
  TempStore temp;
  Store store(temp.options());
  Layer foreign = honest.layer;
  foreign.fetch_from = "docker-image://gone.test/base:1";
  foreign.blob->media_type = std::string(oci::media_type::kDockerLayerForeign);
  foreign.blob->urls = {"https://elsewhere.test/"};
  const Digest id = add_claimed_layer(store, foreign);
  CHECK(store.layer(id)->blob->urls == foreign.blob->urls);
  CHECK(add_claimed_layer(store, honest.layer) == id);
  CHECK(store.layer(id)->fetch_from == honest.layer.fetch_from);
  CHECK(store.layer(id)->blob == honest.layer.blob);
  materialize(store, store.extend({}, id, {}).id, honest.fetcher(store), nullptr, nullptr);
  CHECK(add_claimed_layer(store, foreign) == id);
  CHECK(store.layer(id)->fetch_from == honest.layer.fetch_from);  // it is here
}

TEST_CASE("an image that was built here needs no second copy of its layers") {
  TempStore temp;
  Store store(temp.options());
  const Chain chain = add_file_layer(store, {}, "f", "made here");
  Packer packer(store, {});
  const Layer made = packer.finish(chain.id).back();
  Layer pulled;
  pulled.diff_id = made.diff_id;
  pulled.blob = made.blob;
  pulled.fetch_from = "docker-image://registry.test/pushed:1";
  CHECK(add_claimed_layer(store, pulled) == made.id);
  pulled.blob->digest = digest_of("another blob");
  CHECK(add_claimed_layer(store, pulled) != made.id);
  // In another compression.
  oci::layer::PackOptions zstd;
  zstd.compression = oci::layer::Compression::zstd;
  Packer second(store, zstd);
  pulled.blob = second.finish(chain.id).back().blob;
  CHECK(add_claimed_layer(store, pulled) == made.id);
}

}  // namespace cbuild::cache
