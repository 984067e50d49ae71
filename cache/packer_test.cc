// SPDX-License-Identifier: Apache-2.0
// Layers become blobs once, in any encoding, whoever asks; and layers or blobs that went missing meanwhile.
#include "cache/packer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <mutex>
#include <span>
#include <utility>

#include "base/test_wait.h"
#include "cache/step_layer.h"
#include "cache/test_support.h"
#include "cache/unpacker.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;
using oci::layer::Compression;
using oci::layer::PackOptions;

namespace {

PackOptions options_of(Compression compression) {
  PackOptions options;
  options.compression = compression;
  return options;
}

Digest make_chain(Store& store, int layers) {
  Digest chain;
  for (int i = 0; i < layers; ++i)
    chain = add_file_layer(store, chain, cat("f", i), std::string(1000, 'x') + std::to_string(i)).id;
  return chain;
}

/// A tree of one file that is not on disk.
class OneFile final : public oci::layer::PlannedEntries {
 public:
  bool next(oci::layer::PlannedEntry& entry) override {
    entry = {};
    entry.header.name = "file";
    entry.header.mode = 0644;
    entry.content = "content";
    return !std::exchange(given_, true);
  }

 private:
  bool given_ = false;
};

}  // namespace

TEST_CASE("a chain is packed, in order, once") {
  TempStore temp;
  Store store(temp.options());
  const Digest chain = make_chain(store, 5);
  std::vector<Layer> first;
  {
    Packer packer(store, options_of(Compression::gzip));
    packer.start(chain);
    first = packer.finish(chain);
  }
  REQUIRE(first.size() == 5);
  const auto ids = store.chain_layers(chain);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(first[i].id == ids[i]);
    CHECK_FALSE(first[i].diff_id.empty());
    REQUIRE(first[i].blob);
    CHECK(first[i].blob->media_type == oci::media_type::kLayerGzip);
    CHECK(store.blobs().size(first[i].blob->digest) == first[i].blob->size);
  }
  Packer again(store, options_of(Compression::gzip));
  CHECK(again.finish(chain) == first);
  CHECK(again.finish({}).empty());
  CHECK_THROWS_AS(again.finish(digest_of("no chain")), Error);
}

TEST_CASE("all encodings of a layer are kept") {
  TempStore temp;
  Store store(temp.options());
  const Digest chain = make_chain(store, 2);
  const auto gzip = Packer(store, options_of(Compression::gzip)).finish(chain);
  const auto zstd = Packer(store, options_of(Compression::zstd)).finish(chain);
  const auto plain = Packer(store, options_of(Compression::none)).finish(chain);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(gzip[i].diff_id == zstd[i].diff_id);
    CHECK(plain[i].blob->digest == plain[i].diff_id);
    CHECK(zstd[i].blob->media_type == oci::media_type::kLayerZstd);
  }
  CHECK(Packer(store, options_of(Compression::gzip)).finish(chain)[1].blob == gzip[1].blob);
}

TEST_CASE("each level is an encoding of its own") {
  TempStore temp;
  Store store(temp.options());
  const Digest chain = make_chain(store, 1);
  const auto blob = [&](Compression compression, int level) {
    PackOptions options = options_of(compression);
    options.level = level;
    return Packer(store, options).finish(chain)[0].blob->digest;
  };
  const Digest usual = blob(Compression::gzip, 0), best = blob(Compression::gzip, 9);
  CHECK(usual != best);
  CHECK(blob(Compression::gzip, 0) == usual);
  CHECK(blob(Compression::gzip, 9) == best);
  CHECK(blob(Compression::estargz, 0) != blob(Compression::estargz, 9));
}

TEST_CASE("estargz and gzip are different encodings, although they have one media type") {
  TempStore temp;
  Store store(temp.options());
  const Digest chain = make_chain(store, 2);
  const auto listed = Packer(store, options_of(Compression::estargz)).finish(chain);
  const auto gzip = Packer(store, options_of(Compression::gzip)).finish(chain);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(listed[i].blob->media_type == gzip[i].blob->media_type);
    CHECK(listed[i].blob->digest != gzip[i].blob->digest);
    CHECK(listed[i].diff_id != gzip[i].diff_id);
    CHECK(listed[i].blob->annotations.size() == 2);
    CHECK(gzip[i].blob->annotations.empty());
  }
  CHECK(Packer(store, options_of(Compression::estargz)).packed(chain) == listed);
  CHECK(Packer(store, options_of(Compression::zstd)).packed(chain).empty());
  CHECK(Packer(store, options_of(Compression::estargz)).finish(chain) == listed);
  PackOptions clamped = options_of(Compression::estargz);
  clamped.clamp_mtime_s = 1;
  CHECK(Packer(store, clamped).finish(chain)[0].blob != listed[0].blob);
  CHECK(Packer(store, options_of(Compression::gzip)).finish(chain) == gzip);
}

TEST_CASE("a layer that was packed without a tree is a blob, and is unpacked for what wants another") {
  TempStore temp;
  Store store(temp.options());
  const Chain base = add_file_layer(store, {}, "below", "1");
  oci::layer::PackedLayer packed;
  {
    OneFile entries;
    packed = Packer(store, options_of(Compression::gzip)).pack(entries);
  }
  Layer layer;
  layer.id = random_layer_id();
  layer.diff_id = packed.diff_id;
  layer.blob = packed.descriptor;
  const Chain chain = add_packed_on(store, base.id, layer, digest_of("copy"));
  REQUIRE(store.layer(layer.id));
  CHECK_FALSE(store.layer(layer.id)->has_tree);

  const auto gzip = Packer(store, options_of(Compression::gzip)).finish(chain.id);
  REQUIRE(gzip.size() == 2);
  CHECK(gzip[1].blob == layer.blob);
  CHECK_FALSE(store.layer(layer.id)->has_tree);
  const auto zstd = Packer(store, options_of(Compression::zstd)).finish(chain.id);
  CHECK(zstd[1].blob->media_type == oci::media_type::kLayerZstd);
  CHECK(zstd[1].diff_id == packed.diff_id);
  CHECK(store.layer(layer.id)->has_tree);
  CHECK(sys::read_file_at(store.open_tree(layer.id).get(), "file", 10) == "content");
}

TEST_CASE("a layer without a tree whose blob is gone is missing content") {
  TempStore temp;
  Store store(temp.options());
  OneFile entries;
  const oci::layer::PackedLayer packed = Packer(store, options_of(Compression::gzip)).pack(entries);
  Layer layer;
  layer.id = random_layer_id();
  layer.diff_id = packed.diff_id;
  layer.blob = packed.descriptor;
  const Chain chain = add_packed_on(store, {}, layer, digest_of("copy"));
  store.publish(record_of(digest_of("key"), chain.id));
  store.forget_blob(packed.descriptor.digest);
  CHECK(finds_missing_content([&] { Packer(store, options_of(Compression::gzip)).finish(chain.id); }));
  CHECK_FALSE(store.find(digest_of("key")));
}

TEST_CASE("clamped times are another layer, remembered apart") {
  TempStore temp;
  Store store(temp.options());
  const Digest chain = make_chain(store, 1);
  PackOptions clamped = options_of(Compression::none);
  clamped.clamp_mtime_s = 0;
  const auto plain = Packer(store, options_of(Compression::none)).finish(chain);
  const auto other = Packer(store, clamped).finish(chain);
  CHECK(plain[0].diff_id != other[0].diff_id);
  CHECK(Packer(store, options_of(Compression::none)).finish(chain)[0].diff_id == plain[0].diff_id);
  CHECK(Packer(store, clamped).finish(chain)[0].diff_id == other[0].diff_id);
  CHECK(store.layer(plain[0].id)->diff_id == plain[0].diff_id);
}

TEST_CASE("a lazy base keeps its own blob and need not be there") {
  TempStore temp;
  Store store(temp.options());
  Layer base;
  base.id = base.diff_id = digest_of("diff");
  base.blob = oci::Descriptor{};
  base.blob->media_type = std::string(oci::media_type::kLayerGzip);
  base.blob->digest = digest_of("far away");
  base.blob->size = 5;
  base.fetch_from = "docker-image://x";
  base.created_ns = 7;
  store.add_lazy_layer(base);
  const Chain below = store.extend({}, base.id, {});
  const Chain top = add_file_layer(store, below.id, "f", "x");
  Packer packer(store, options_of(Compression::zstd));
  packer.start(top.id);
  const auto layers = packer.finish(top.id);
  REQUIRE(layers.size() == 2);
  CHECK(layers[0] == base);
  CHECK(layers[1].blob->media_type == oci::media_type::kLayerZstd);
}

TEST_CASE("a missing tree is an error that names the layer; a missing blob is packed again") {
  TempStore temp;
  Store store(temp.options());
  const Chain chain = add_file_layer(store, {}, "f", "x");
  const auto layers = Packer(store, options_of(Compression::gzip)).finish(chain.id);
  store.forget_blob(layers[0].blob->digest);
  CHECK(Packer(store, options_of(Compression::gzip)).finish(chain.id) == layers);
  sys::remove_all_at(store.root_fd(), "snapshots/" + chain.layer.hex());
  Packer packer(store, options_of(Compression::zstd));
  packer.start(chain.id);
  CHECK_THROWS_AS(packer.finish(chain.id), Error);
}

TEST_CASE("destroying a packer stops it") {
  TempStore temp;
  Store store(temp.options());
  const Digest chain = make_chain(store, 30);
  Packer(store, options_of(Compression::gzip)).start(chain);
  CHECK(Packer(store, options_of(Compression::gzip)).finish(chain).size() == 30);
}

TEST_CASE("two processes pack one chain") {
  TempStore temp;
  Store store(temp.options());
  const Digest chain = make_chain(store, 10);
  const pid_t pid = ::fork();
  if (pid == 0) {
    int code = 1;
    try {
      Store other(temp.options());
      code = Packer(other, options_of(Compression::none)).finish(chain).size() == 10 ? 0 : 2;
    } catch (...) {
    }
    ::_exit(code);
  }
  CHECK(Packer(store, options_of(Compression::none)).finish(chain).size() == 10);
  int status = 0;
  const test::Awaiting awaiting("the end of the other packer");
  ::waitpid(pid, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("packed layers come back as trees") {
  TempStore temp, far;
  Store origin(far.options()), store(temp.options());
  const Chain below = add_file_layer(origin, {}, "etc/x", "below");
  const Chain top = add_layer(origin, below.id, [](int tree) {
    write_file(tree, "etc/y", "top");
    make_whiteout(tree, "etc/x");
    make_opaque(tree, "opt");
  });
  Digest chain;
  for (Layer layer : Packer(origin, options_of(Compression::zstd)).finish(top.id)) {
    layer.id = layer.diff_id;
    layer.has_tree = layer.has_blob = false;
    layer.fetch_from = "oci-layout://far";
    store.add_lazy_layer(layer);
    chain = store.extend(chain, layer.id, {}).id;
  }
  int fetched = 0;
  std::uint64_t seen = 0;
  std::mutex mutex;
  const BlobFetcher fetch = [&](const Layer& layer, oci::BlobStore& into) {
    std::scoped_lock lock(mutex);
    ++fetched;
    auto writer = into.create();
    const std::string body = oci::read_blob(origin.blobs(), layer.blob->digest);
    writer->write(std::as_bytes(std::span(body)));
    writer->commit(layer.blob->digest, layer.blob->size);
  };
  const oci::Descriptor damaged = *store.layer(store.chain_layers(chain).front())->blob;
  fetch(*store.layer(store.chain_layers(chain).front()), store.blobs());
  sys::pwrite_all(sys::open_at(AT_FDCWD, cat(temp.root, "/blobs/sha256/", damaged.digest.hex()), O_WRONLY).get(), "XX",
                  static_cast<off_t>(damaged.size / 2));
  materialize(store, chain, fetch, nullptr, [&](const Layer&, std::uint64_t bytes, std::uint64_t) {
    std::scoped_lock lock(mutex);
    seen = std::max(seen, bytes);
  });
  CHECK(fetched == 3);  // one was damaged and was fetched again
  materialize(store, chain, nullptr, nullptr, nullptr);
  const TreeView view = open_view(store, chain);
  CHECK(view.read_file("etc/y", 10) == "top");
  CHECK_FALSE(view.lookup("etc/x"));
  CHECK(open_lowers(store, chain).size() == 2);
  CancelSource cancel;
  cancel.cancel();
  CHECK_NOTHROW(materialize(store, chain, nullptr, &cancel, nullptr));
}

TEST_CASE("a layer that nobody can fetch is an error, and a wrong one is forgotten") {
  TempStore temp;
  Store store(temp.options());
  Layer layer;
  layer.id = layer.diff_id = digest_of("diff");
  layer.blob =
      oci::put_blob(store.blobs(), "no tar at all, but long enough to be read", std::string(oci::media_type::kLayer));
  store.add_lazy_layer(layer);
  const Chain chain = store.extend({}, layer.id, {});
  CHECK(finds_missing_content([&] { materialize(store, chain.id, nullptr, nullptr, nullptr); }));
  CHECK_FALSE(store.layer(layer.id));
  CHECK(finds_missing_content([&] { materialize(store, chain.id, nullptr, nullptr, nullptr); }));
}
