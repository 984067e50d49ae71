// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/compression/compression.h"

namespace cbuild::cache {

/// The two directions, and the flags for them.
enum class CacheUse { from, to };

/// One of the flags while it is parsed: its messages, and values that several keys have.
struct CacheFlag {
  CacheUse use;
  /// Throws Error{usage} in the name of the flag.
  [[noreturn]] void refuse(const std::string& message, const std::string& hint = {}) const;
  std::string_view name() const { return use == CacheUse::from ? "--cache-from" : "--cache-to"; }
  /// A key without a value is true.
  bool truth(std::string_view key, const std::string& value) const;
  std::int64_t number(std::string_view key, const std::string& value, std::int64_t most) const;
};

/// One --cache-to or --cache-from, parsed.
struct CacheSpec {
  std::string type = "registry";  ///< the name of a BackendType
  /// The keys of the type, as they were given; their values were checked.
  std::map<std::string, std::string> attributes;
  std::string insecure_registry;            ///< a host that need not have verified TLS; empty: none
  std::chrono::milliseconds timeout{5000};  ///< from: how long a build waits for it

  bool all_steps = false;                              ///< to: mode=max
  std::optional<oci::layer::Compression> compression;  ///< to; unset: as the image's
  int compression_level = 0;
  bool ignore_error = false;              ///< to
  std::vector<std::string> mounts;        ///< to: ids of cache mounts; "*" for all
  std::uint64_t mount_bytes = 2u << 30;   ///< to: larger cache mounts are left out
  unsigned keep_days = 14;                ///< to: steps of other builds stay that long unused
  std::uint64_t max_bytes = 10ull << 30;  ///< to: of all blobs; the steps of other builds that were used last stay
  bool collect = true;                    ///< to: blobs that no index names are removed where that is possible

  /// The value of a key of the type; `otherwise` if it was not given.
  std::string attribute(const std::string& key, const std::string& otherwise = {}) const;
  /// The value of a key, else of the first of these variables of the environment that is set and not empty.
  std::string attribute_or(const std::string& key, std::initializer_list<const char*> variables) const;
  bool operator==(const CacheSpec&) const = default;
};

/// Parse the values of the flags: CSV of key=value, or a bare reference. The keys of all types are taken with each, as
/// lines are shared between them. Throw Error{usage} with a suggestion for unknown keys and types.
CacheSpec parse_cache_to(std::string_view text);
CacheSpec parse_cache_from(std::string_view text);
/// Why a cache is left out on this machine, in the words of a note; empty if it is not.
std::string why_left_out(const CacheSpec& spec);

}  // namespace cbuild::cache
