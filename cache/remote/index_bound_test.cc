// SPDX-License-Identifier: Apache-2.0
#include "cache/remote/index_bound.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/text.h"

namespace cbuild::cache {
namespace {

RemoteIndex::LayerEntry layer_with(const std::string& name, std::uint64_t size, const std::string& origin = {}) {
  RemoteIndex::LayerEntry out;
  out.diff_id = sha256(cat("diff ", name));
  out.blob = {.media_type = "application/vnd.oci.image.layer.v1.tar", .digest = sha256(name), .size = size};
  out.origin = origin;
  return out;
}

/// Layers, each on the one before, with a record for each; the later ones were made later.
RemoteIndex stack_of(const std::vector<RemoteIndex::LayerEntry>& layers, std::int64_t day = 1) {
  RemoteIndexBuilder builder;
  std::int64_t at = -1, made = 0;
  for (const auto& layer : layers) {
    at = builder.chain(at, builder.layer(layer), layer.diff_id);
    builder.record({{sha256(cat("key ", layer.diff_id.str()))}, at, "RUN", ++made, 1, day, {}});
  }
  return builder.take();
}

using Flags = std::vector<bool>;

}  // namespace

TEST_CASE("blobs of a base are not counted, equal ones once") {
  RemoteIndex index = stack_of({layer_with("a", 10), layer_with("base", 1000, "docker-image://x"), layer_with("b", 5)});
  index.mounts.push_back({"id", "key", sha256("m"), {.digest = sha256("a"), .size = 10}});
  CHECK(bytes_of(index) == 15);
  index.layers[2].table = {.digest = sha256("table"), .size = 3};
  CHECK(bytes_of(index) == 18);
}

TEST_CASE("of others what was used last stays, within the bound") {
  const RemoteIndex own = stack_of({layer_with("own", 50)});
  const RemoteIndex other = stack_of({layer_with("a", 30), layer_with("b", 30)});
  const std::vector<std::pair<std::uint64_t, Flags>> rows = {
      {200, {true, true}}, {110, {true, true}}, {109, {true, false}}, {79, {false, false}}, {0, {false, false}}};
  for (const auto& [bytes, expected] : rows) CHECK(fitting_share(own, other, {.max_bytes = bytes}).records == expected);
  // Two that do not stand on each other: the later used one, else the later made one.
  RemoteIndexBuilder builder;
  for (const char* name : {"x", "y"}) {
    const auto chain = builder.chain(-1, builder.layer(layer_with(name, 30)), sha256(name));
    builder.record({{sha256(name)}, chain, "RUN", *name == 'x' ? 1 : 2, 1, 1, {}});
  }
  RemoteIndex two = builder.take();
  CHECK(fitting_share(own, two, {.max_bytes = 80}).records == Flags{false, true});
  two.records[0].used_day = 2;
  CHECK(fitting_share(own, two, {.max_bytes = 80}).records == Flags{true, false});
  CHECK(fitting_share(own, two, {.since_day = 3}).records == Flags{false, false});
}

TEST_CASE("what is known, or has no layer of its own, takes no room") {
  const RemoteIndex own = stack_of({layer_with("a", 50)});
  RemoteIndex other = own;
  other.records.push_back({{sha256("empty")}, -1, "WORKDIR", 1, 1, 1, {}});
  other.mounts.push_back({"id", "key", sha256("m"), {.digest = sha256("m"), .size = 1}});
  const IndexShare share = fitting_share(own, other, {.max_bytes = 50});
  CHECK(share.records == Flags{true, true});
  CHECK(share.mounts == Flags{false});
}

TEST_CASE("a chain of any depth is looked at once, also where it does not fit") {
  std::vector<RemoteIndex::LayerEntry> layers;
  for (int i = 0; i < 20'000; ++i) layers.push_back(layer_with(std::to_string(i), i == 10'000 ? 1000 : 0));
  const IndexShare share = fitting_share({}, stack_of(layers), {.max_bytes = 999});
  CHECK(share.records[9'999]);
  CHECK_FALSE(share.records[10'000]);
  CHECK_FALSE(share.records[19'999]);
}

}  // namespace cbuild::cache
