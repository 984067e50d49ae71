// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/text.h"
#include "cache/packer.h"
#include "cache/test_support.h"
#include "exporter/image_builder.h"

/// For tests of this module.
namespace cbuild::exporter::testing {

using namespace cache::testing;

inline constexpr std::int64_t kSecond = 1'000'000'000;

/// A layer with one file, made `at_ns`, on `parent`: the chain. Not packed yet.
inline Digest make_layer(cache::Store& store, const Digest& parent, const std::string& path, const std::string& content,
                         std::int64_t at_ns) {
  cache::Staging staging = store.stage("test");
  write_file(staging.tree_fd(), path, content);
  cache::Layer made;
  made.id = cache::random_layer_id();
  made.created_ns = at_ns;
  const Digest id = made.id;
  store.add_tree(made, std::move(staging));
  return store.extend(parent, id, {}).id;
}

/// A store with chains of one-file layers, and images of them.
struct Workshop {
  TempStore temp;
  cache::Store store{temp.options()};
  cache::Packer packer{store, {}};

  Digest layer(const Digest& parent, const std::string& path, const std::string& content, std::int64_t at_ns) {
    return make_layer(store, parent, path, content, at_ns);
  }
  /// A base image of one gzip layer, as it is known after its manifest was read.
  Digest base(const std::string& content = "base") {
    const std::vector<cache::Layer> packed = packer.finish(layer({}, "base", content, kSecond));
    cache::Layer lazy;
    lazy.id = lazy.diff_id = packed.at(0).diff_id;
    lazy.blob = packed.at(0).blob;
    lazy.fetch_from = "docker-image://base.test/base:1";
    store.add_lazy_layer(lazy);
    return store.extend({}, lazy.id, {}).id;
  }
  ImageResult result(const Digest& chain, std::size_t base_layers = 0) {
    ImageResult out;
    out.chain = chain;
    out.platform = out.config.platform = *oci::parse_platform("linux/amd64");
    for (std::size_t i = 0; i < base_layers; ++i) out.config.diff_ids.push_back(digest_of("of the base"));
    return out;
  }
  BuiltImage image(const std::string& content) {
    return build_image(store, packer, result(layer({}, "file", content, kSecond)), {});
  }
};

struct TarMember {
  std::string content;
  std::int64_t mtime = 0;
  char type = 0;     ///< as in the header: '0' file, '1' hard link, '3' character device, ...
  std::string link;  ///< of a link
  long long device_major = 0, device_minor = 0;
};

/// The members of a tar in their order; names are short.
inline std::vector<std::pair<std::string, TarMember>> tar_members(const std::string& tar) {
  std::vector<std::pair<std::string, TarMember>> out;
  for (std::size_t at = 0; at + 512 <= tar.size() && tar[at] != '\0';) {
    const auto number = [&](std::size_t offset, std::size_t length = 11) {
      return std::strtoll(tar.substr(at + offset, length).c_str(), nullptr, 8);
    };
    const auto size = static_cast<std::size_t>(number(124));
    out.push_back({std::string(tar.c_str() + at),
                   {.content = tar.substr(at + 512, size),
                    .mtime = number(136),
                    .type = tar[at + 156],
                    .link = std::string(tar.substr(at + 157, tar.find('\0', at + 157) - at - 157)),
                    .device_major = number(329, 7),
                    .device_minor = number(337, 7)}});
    at += 512 + (size + 511) / 512 * 512;
  }
  return out;
}

}  // namespace cbuild::exporter::testing
