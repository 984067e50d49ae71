// SPDX-License-Identifier: Apache-2.0
// Layers that are unpacked while their blob is on its way: early, and with nothing to be seen of them before blob and
// diff id are right, however the transfer ends.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "cache/layer_tables.h"
#include "cache/packer.h"
#include "cache/store.h"
#include "cache/test_support.h"
#include "cache/unpacker.h"

namespace cbuild::cache {

using namespace testing;

namespace {

/// A layer of three megabytes that lies elsewhere, and a store that knows of it.
struct FarLayer {
  TempStore here, far;
  Store store{here.options()}, origin{far.options()};
  Layer layer;
  Digest chain;
  std::string bytes;

  explicit FarLayer(const Digest& other_diff_id = {}) {
    const Chain made = add_layer(origin, {}, [](int tree) {
      for (const char* name : {"a", "b", "c"}) {
        write_file(tree, name, std::string(1'000'000, name[0]));
        // Two of these layers are equal, whenever they are made.
        constexpr struct timespec kTimes[2] = {{.tv_sec = 1'000'000'000, .tv_nsec = 0},
                                               {.tv_sec = 1'000'000'000, .tv_nsec = 0}};
        REQUIRE(::utimensat(tree, name, kTimes, 0) == 0);
      }
    });
    oci::layer::PackOptions options;
    options.compression = oci::layer::Compression::none;
    layer = Packer(origin, options).finish(made.id).back();
    bytes = oci::read_blob(origin.blobs(), layer.blob->digest, 8u << 20);
    if (!other_diff_id.empty()) layer.diff_id = other_diff_id;
    layer.id = layer.diff_id;
    layer.has_tree = layer.has_blob = false;
    layer.fetch_from = "docker-image://far.test/image:1";
    store.add_lazy_layer(layer);
    chain = store.extend({}, layer.id, {}).id;
  }

  void write(oci::BlobWriter& writer, std::size_t begin, std::size_t end) const {
    writer.write(std::as_bytes(std::span(bytes)).subspan(begin, end - begin));
  }
  bool is_published() { return store.layer(layer.id)->has_tree; }
  bool is_here() { return store.blobs().size(layer.blob->digest).has_value(); }
  void materialize_by(const BlobFetcher& fetch,
                      const std::function<void(const Layer&, std::uint64_t, std::uint64_t)>& progress = nullptr) {
    materialize(store, chain, fetch, nullptr, progress);
  }
  void check_tree() {
    CHECK(is_published());
    const UniqueFd tree = store.open_tree(layer.id);
    for (const char* name : {"a", "b", "c"})
      CHECK(sys::read_file_at(tree.get(), name, 2'000'000) == std::string(1'000'000, name[0]));
  }
  /// Whether nothing is left under construction.
  bool is_tidy() const {
    const UniqueFd tmp = sys::open_at(AT_FDCWD, here.root + "/tmp", O_RDONLY | O_DIRECTORY);
    return sys::list_dir(tmp.get()).empty();
  }
};

}  // namespace

TEST_CASE("a layer is unpacked while its blob comes, and published when all is right") {
  FarLayer far;
  const std::size_t half = far.bytes.size() / 2;
  std::atomic<std::uint64_t> read = 0;
  far.materialize_by(
      [&](const Layer& layer, oci::BlobStore& into) {
        auto writer = into.create();
        far.write(*writer, 0, half);
        {
          const test::Awaiting awaiting("the first megabyte to be unpacked");
          for (std::uint64_t now = read; now < 1'000'000; now = read) read.wait(now);
        }
        CHECK_FALSE(far.is_published());
        CHECK_FALSE(far.is_here());
        far.write(*writer, half, far.bytes.size());
        writer->commit(layer.blob->digest, layer.blob->size);
      },
      [&](const Layer&, std::uint64_t bytes, std::uint64_t) {
        read = bytes;
        read.notify_all();
      });
  CHECK(read == far.bytes.size());
  CHECK(far.is_here());
  far.check_tree();
  CHECK(far.is_tidy());
}

TEST_CASE("a transfer that begins again with other bytes is unpacked from the blob that was verified") {
  FarLayer far;
  far.materialize_by([&](const Layer& layer, oci::BlobStore& into) {
    auto writer = into.create();
    const std::string wrong(far.bytes.size() / 2, 'x');
    writer->write(std::as_bytes(std::span(wrong)));
    writer = into.create();
    far.write(*writer, 0, far.bytes.size());
    writer->commit(layer.blob->digest, layer.blob->size);
  });
  far.check_tree();
  CHECK(far.is_tidy());
}

TEST_CASE("a fetcher that goes around the stream is as good") {
  FarLayer far;
  far.materialize_by(
      [&](const Layer& layer, oci::BlobStore&) { oci::copy_blob(far.origin.blobs(), far.store.blobs(), *layer.blob); });
  far.check_tree();
}

TEST_CASE("of a transfer that fails nothing is left, and its failure is the one that is reported") {
  FarLayer far;
  for (const std::size_t end : {std::size_t{0}, std::size_t{700}, far.bytes.size() / 2, far.bytes.size()}) {
    CAPTURE(end);
    try {
      far.materialize_by([&](const Layer&, oci::BlobStore& into) {
        const auto writer = into.create();
        far.write(*writer, 0, end);
        throw Error(ErrorCode::denied, "no more for you");
      });
      FAIL("not refused");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::denied);
    }
    CHECK_FALSE(far.is_published());
    CHECK_FALSE(far.is_here());
    CHECK(far.is_tidy());
  }
}

TEST_CASE("a blob with the wrong bytes at its end is never published") {
  FarLayer far;
  int fetched = 0;
  CHECK_THROWS_AS(far.materialize_by([&](const Layer& layer, oci::BlobStore& into) {
    ++fetched;
    const auto writer = into.create();
    far.write(*writer, 0, far.bytes.size() - 1);
    const std::string wrong = "x";
    writer->write(std::as_bytes(std::span(wrong)));
    writer->commit(layer.blob->digest, layer.blob->size);
  }),
                  Error);
  CHECK(fetched == 2);
  CHECK_FALSE(far.is_published());
  CHECK_FALSE(far.is_here());
  CHECK(far.is_tidy());
}

TEST_CASE("a right blob with another diff id is never published as a layer") {
  FarLayer far(sha256("another layer"));
  CHECK_THROWS_AS(far.materialize_by([&](const Layer& layer, oci::BlobStore& into) {
    oci::copy_blob(far.origin.blobs(), into, *layer.blob);
  }),
                  Error);
  const auto known = far.store.layer(far.layer.id);
  CHECK_FALSE((known && known->has_tree));
  CHECK(far.is_tidy());
}

TEST_CASE("a table is made while the blob comes, and kept when all is right") {
  FarLayer far;
  std::atomic<std::uint64_t> read = 0;
  const auto fetch = [&](const Layer& layer, oci::BlobStore& into) {
    auto writer = into.create();
    far.write(*writer, 0, far.bytes.size() / 2);
    {
      const test::Awaiting awaiting("the first megabyte to be read");
      for (std::uint64_t now = read; now < 1'000'000; now = read) read.wait(now);
    }
    CHECK_FALSE(find_layer_table(far.store, layer));
    far.write(*writer, far.bytes.size() / 2, far.bytes.size());
    writer->commit(layer.blob->digest, layer.blob->size);
  };
  const auto progress = [&](const Layer&, std::uint64_t bytes, std::uint64_t) {
    read = bytes;
    read.notify_all();
  };
  const SharedTable table = make_layer_table(far.store, far.layer.id, {fetch, nullptr, progress});
  CHECK(table->table.find("b") != oci::layer::LayerTable::kNone);
  CHECK(find_layer_table(far.store, far.layer) == table);
  CHECK(far.is_here());
  CHECK_FALSE(far.is_published());
  CHECK(far.is_tidy());
}

TEST_CASE("a table is read from the store where the transfer began again, went around, or the blob is there") {
  FarLayer again, around;
  const auto fetch_twice = [&](const Layer& layer, oci::BlobStore& into) {
    auto writer = into.create();
    again.write(*writer, 100, 9000);
    writer = into.create();
    again.write(*writer, 0, again.bytes.size());
    writer->commit(layer.blob->digest, layer.blob->size);
  };
  const SharedTable table = make_layer_table(again.store, again.layer.id, {fetch_twice});
  const auto fetch_around = [&](const Layer& layer, oci::BlobStore&) {
    oci::copy_blob(around.origin.blobs(), around.store.blobs(), *layer.blob);
  };
  CHECK(make_layer_table(around.store, around.layer.id, {fetch_around})->table.nodes == table->table.nodes);
  FarLayer here;
  oci::copy_blob(here.origin.blobs(), here.store.blobs(), *here.layer.blob);
  CHECK(make_layer_table(here.store, here.layer.id, {})->table.nodes == table->table.nodes);
}

TEST_CASE("nothing is kept of a table whose blob breaks off, is damaged, or has another diff id") {
  FarLayer far;
  FarLayer other(sha256("another layer"));
  const auto break_off = [&](const Layer&, oci::BlobStore& into) {
    const auto writer = into.create();
    far.write(*writer, 0, far.bytes.size() / 2);
    throw Error(ErrorCode::denied, "no more for you");
  };
  const auto damage = [&](const Layer& layer, oci::BlobStore& into) {
    const auto writer = into.create();
    far.write(*writer, 0, far.bytes.size() - 1);
    writer->write(std::as_bytes(std::span("x", 1)));
    writer->commit(layer.blob->digest, layer.blob->size);
  };
  const auto whole = [&](const Layer& layer, oci::BlobStore& into) {
    oci::copy_blob(other.origin.blobs(), into, *layer.blob);
  };
  const auto code = [](FarLayer& of, const BlobFetcher& fetch) {
    try {
      make_layer_table(of.store, of.layer.id, {fetch});
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::internal;
  };
  CHECK(code(far, break_off) == ErrorCode::denied);
  CHECK(code(far, damage) == ErrorCode::corrupt);
  CHECK_FALSE(find_layer_table(far.store, far.layer));
  CHECK_FALSE(far.is_here());
  CHECK(far.is_tidy());
  CHECK(code(other, whole) == ErrorCode::corrupt);
  CHECK_FALSE(find_layer_table(other.store, other.layer));
  CHECK(other.is_tidy());
}

}  // namespace cbuild::cache
