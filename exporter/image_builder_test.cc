// SPDX-License-Identifier: Apache-2.0
#include "exporter/image_builder.h"

#include <doctest/doctest.h>

#include "exporter/test_support.h"

namespace cbuild::exporter {
namespace {

using namespace testing;
using Texts = std::vector<std::string>;

constexpr char kBaseTime[] = "2001-02-03T04:05:06Z";

/// A base's row, then a step with a layer, one without, two more of the same kinds.
ImageResult result_with_history(Workshop& shop, const Digest& chain) {
  ImageResult result = shop.result(chain, 1);
  result.base_history = 1;
  oci::HistoryEntry base, layer, empty;
  base.created = kBaseTime;
  empty.empty_layer = true;
  result.config.history = {base, layer, empty, layer, empty};
  result.config.created = kBaseTime;
  return result;
}

Texts times(const BuiltImage& image) {
  const oci::ImageConfig config = oci::parse_image_config(image.config_json);
  Texts out = {config.created};
  for (const oci::HistoryEntry& entry : config.history) out.push_back(entry.created);
  return out;
}

Texts types(const BuiltImage& image) {
  Texts out;
  for (const oci::Descriptor& layer : image.content.layers) out.push_back(layer.media_type);
  return out;
}

}  // namespace

TEST_CASE("config and history have the times of the layers, the base's rows keep theirs") {
  Workshop shop;
  const Digest first = shop.layer(shop.base(), "a", "a", 20 * kSecond + kSecond / 2);
  ImageResult result = result_with_history(shop, shop.layer(first, "b", "b", 10 * kSecond));
  const std::string late = "1970-01-01T00:00:20.5Z", early = "1970-01-01T00:00:10Z";
  CHECK(times(build_image(shop.store, shop.packer, result, {})) == Texts{late, kBaseTime, late, late, early, early});
  result.source_date_epoch = 15;
  const std::string epoch = "1970-01-01T00:00:15Z";
  CHECK(times(build_image(shop.store, shop.packer, result, {})) == Texts{epoch, kBaseTime, epoch, epoch, early, early});
}

TEST_CASE("without a layer of its own an image has the base's time, or the epoch") {
  Workshop shop;
  ImageResult result = shop.result(shop.base(), 1);
  result.config.created = kBaseTime;
  CHECK(times(build_image(shop.store, shop.packer, result, {}))[0] == kBaseTime);
  result.source_date_epoch = 7;
  CHECK(times(build_image(shop.store, shop.packer, result, {}))[0] == "1970-01-01T00:00:07Z");
}

TEST_CASE("a base without history gets a row for each layer") {
  Workshop shop;
  ImageResult result = shop.result(shop.layer(shop.base(), "a", "a", 3 * kSecond), 1);
  result.config.history = {oci::HistoryEntry{.created = {}, .created_by = "RUN a", .author = {}, .comment = {}}};
  const BuiltImage image = build_image(shop.store, shop.packer, result, {});
  const auto history = oci::parse_image_config(image.config_json).history;
  REQUIRE(history.size() == 2);
  CHECK(history[0].comment == "buildkit.exporter.image.v0");
  CHECK(history[1].created_by == "RUN a");
  CHECK(history[1].created == "1970-01-01T00:00:03Z");
}

TEST_CASE("diff ids and layers agree, and the same result gives the same bytes") {
  Workshop shop;
  const ImageResult result = shop.result(shop.layer(shop.base(), "a", "a", kSecond), 1);
  const BuiltImage image = build_image(shop.store, shop.packer, result, {}),
                   again = build_image(shop.store, shop.packer, result, {});
  const oci::ImageConfig config = oci::parse_image_config(image.config_json);
  REQUIRE(config.diff_ids.size() == 2);
  CHECK(config.diff_ids[0] == image.layers[0].diff_id);
  CHECK(config.diff_ids[1] == image.layers[1].diff_id);
  CHECK(config.diff_ids[0] != config.diff_ids[1]);
  CHECK(image.manifest == again.manifest);
  CHECK(image.manifest.digest == sha256(image.manifest_json));
  CHECK(image.manifest.platform == oci::parse_platform("linux/amd64"));
  CHECK(oci::read_blob(shop.store.blobs(), image.config.digest) == image.config_json);
}

TEST_CASE("only layers that were made here are marked as rewritten") {
  Workshop shop;
  ImageResult result = shop.result(shop.layer(shop.base(), "a", "a", kSecond), 1);
  ImageOptions options;
  options.rewrite_timestamp = true;
  CHECK(build_image(shop.store, shop.packer, result, options).content.layers[1].annotations.empty());
  result.file_epoch = 5;
  const BuiltImage image = build_image(shop.store, shop.packer, result, options);
  CHECK(image.content.layers[0].annotations.empty());
  CHECK(image.content.layers[1].annotations == oci::Annotations{{"buildkit/rewritten-timestamp", "5"}});
  options.docker_media_types = true;
  CHECK(build_image(shop.store, shop.packer, result, options).content.layers[1].annotations.empty());
}

TEST_CASE("annotations are those of the manifest, docker's too, and of its descriptor") {
  Workshop shop;
  ImageResult result = shop.result(shop.layer({}, "a", "a", kSecond));
  result.annotations = {{"of", "manifest"}};
  result.descriptor_annotations = {{"of", "descriptor"}};
  ImageOptions options;
  for (const bool docker : {false, true}) {
    options.docker_media_types = docker;
    const BuiltImage image = build_image(shop.store, shop.packer, result, options);
    CHECK(std::get<oci::Manifest>(oci::parse_manifest(image.manifest_json)).annotations == result.annotations);
    CHECK(image.manifest.annotations == result.descriptor_annotations);
    CHECK(image.manifest.media_type == (docker ? oci::media_type::kDockerManifest : oci::media_type::kManifest));
    CHECK(image.config.media_type == (docker ? oci::media_type::kDockerConfig : oci::media_type::kConfig));
    CHECK(types(image)[0] == (docker ? oci::media_type::kDockerLayerGzip : oci::media_type::kLayerGzip));
  }
}

TEST_CASE("force-compression puts layers of the base into it, too") {
  Workshop shop;
  const ImageResult result = shop.result(shop.layer(shop.base(), "a", "a", kSecond), 1);
  const std::string gzip(oci::media_type::kLayerGzip), zstd(oci::media_type::kLayerZstd);
  oci::layer::PackOptions pack;
  pack.compression = oci::layer::Compression::zstd;
  cache::Packer packer(shop.store, pack);
  ImageOptions options;
  options.compression = oci::layer::Compression::zstd;
  const BuiltImage kept = build_image(shop.store, packer, result, options);
  CHECK(types(kept) == Texts{gzip, zstd});
  options.force_compression = true;
  SUBCASE("with the blob here") {
    const BuiltImage forced = build_image(shop.store, packer, result, options);
    CHECK(types(forced) == Texts{zstd, zstd});
    CHECK(forced.config == kept.config);
    CHECK(forced.layers[0].fetch_from.empty());
    CHECK(shop.store.blobs().size(forced.content.layers[0].digest) == forced.content.layers[0].size);
    CHECK(build_image(shop.store, packer, result, options).manifest == forced.manifest);
    options.force_compression = false;
    CHECK(build_image(shop.store, packer, result, options).manifest == kept.manifest);
  }
  SUBCASE("with the blob elsewhere") {
    const Digest blob = kept.content.layers[0].digest;
    const std::string content = oci::read_blob(shop.store.blobs(), blob);
    shop.store.forget_blob(blob);
    unsigned fetched = 0;
    const auto fetch = [&](const cache::Layer& layer, oci::BlobStore&) {
      CHECK(layer.fetch_from == "docker-image://base.test/base:1");
      oci::put_blob(shop.store.blobs(), content, gzip);
      ++fetched;
    };
    CHECK(types(build_image(shop.store, packer, result, options, fetch)) == Texts{zstd, zstd});
    CHECK(fetched == 1);
  }
}

TEST_CASE("estargz layers name their table, and force-compression gives the base's one, too") {
  Workshop shop;
  const ImageResult result = shop.result(shop.layer(shop.base(), "a", "a", kSecond), 1);
  oci::layer::PackOptions pack;
  pack.compression = oci::layer::Compression::estargz;
  cache::Packer packer(shop.store, pack);
  ImageOptions options;
  options.compression = oci::layer::Compression::estargz;
  const auto has_table = [](const oci::Descriptor& layer) {
    return layer.annotations.contains("containerd.io/snapshot/stargz/toc.digest");
  };
  const BuiltImage kept = build_image(shop.store, packer, result, options);
  CHECK_FALSE(has_table(kept.content.layers[0]));
  CHECK(has_table(kept.content.layers[1]));
  CHECK(kept.content.layers[1].annotations.size() == 2);
  options.force_compression = true;
  const BuiltImage forced = build_image(shop.store, packer, result, options);
  CHECK(has_table(forced.content.layers[0]));
  CHECK(forced.content.layers[1] == kept.content.layers[1]);
  const auto diff_ids = [](const BuiltImage& image) { return oci::parse_image_config(image.config_json).diff_ids; };
  CHECK(diff_ids(forced)[0] != diff_ids(kept)[0]);
  CHECK(diff_ids(forced)[0] == forced.layers[0].diff_id);
  CHECK(build_image(shop.store, packer, result, options).manifest == forced.manifest);
}

TEST_CASE("a foreign layer stays one only where that is asked for") {
  cache::Layer layer;
  layer.blob.emplace();
  layer.blob->media_type = oci::media_type::kDockerLayerForeign;
  layer.blob->urls = {"https://elsewhere.test/layer"};
  CHECK(layer_descriptor(layer, false).media_type == oci::media_type::kLayerGzip);
  CHECK(layer_descriptor(layer, false).urls.empty());
  CHECK(layer_descriptor(layer, true, true).media_type == oci::media_type::kDockerLayerForeign);
  const oci::Descriptor kept = layer_descriptor(layer, false, true);
  CHECK(kept.media_type == "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
  CHECK(kept.urls == layer.blob->urls);
  layer.blob->media_type = oci::media_type::kDockerLayerGzip;
  CHECK(layer_descriptor(layer, false, true).media_type == oci::media_type::kLayerGzip);
}

}  // namespace cbuild::exporter
