// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "oci/layer/compression.h"

namespace cbuild::exporter {

enum class CacheType {
  registry,  ///< a manifest in a registry: a cache, or an image that carries one
  local,     ///< an OCI layout directory
  in_image,  ///< type=inline: in the configuration of the image that is built
};

/// One --cache-to or --cache-from, parsed.
struct CacheSpec {
  CacheType type = CacheType::registry;
  std::string ref;                             ///< registry
  std::string directory;                       ///< local: dest= or src=
  std::string tag = "latest";                  ///< local: the entry of index.json
  std::optional<Digest> digest;                ///< local, from: the manifest, instead of the tag
  bool insecure = false;                       ///< registry: need not have verified TLS
  std::chrono::milliseconds patience{15'000};  ///< from: how long a build waits for it

  bool all_steps = false;                              ///< to: mode=max
  std::optional<oci::layer::Compression> compression;  ///< to; unset: as the image's
  int compression_level = 0;
  bool ignore_error = false;             ///< to
  std::vector<std::string> mounts;       ///< to: ids of cache mounts; "*" for all
  std::uint64_t mount_bytes = 2u << 30;  ///< to: larger cache mounts are left out
  unsigned keep_days = 14;               ///< to: steps of other builds stay that long unused

  bool operator==(const CacheSpec&) const = default;
};

/// Parse the values of the flags: CSV of key=value, or a bare reference. Throw Error{usage} with a
/// suggestion for unknown keys and types.
CacheSpec parse_cache_to(std::string_view text);
CacheSpec parse_cache_from(std::string_view text);

}  // namespace cbuild::exporter
