// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cache/gc/gc.h"

namespace cbuild::cli {

/// `--filter` of du and prune, all of which have to hold.
struct CacheFilters {
  std::function<bool(const cache::Usage::Item&)> matches;  ///< not set: everything
  std::optional<std::int64_t> unused_for_ns;               ///< of until=
  bool by_type = false;                                    ///< some filter names a type
};

/// Keys: id, type, description, parents, inuse, mutable, immutable, shared, private, until; forms `key`, `key=value`,
/// `key!=value`, `key~=REGEX`, `key!~REGEX`. Types by our names and by BuildKit's. Throws Error{usage}.
CacheFilters parse_cache_filters(const std::vector<std::string>& texts);

/// "24h", "7d", "1h30m", or a point of time ("2026-01-02", RFC 3339), as the age that a thing must have. Throws
/// Error{usage}.
std::int64_t parse_age(const std::string& flag, const std::string& text);

/// BuildKit's name of an item's type: "regular", "source.local", "exec.cachemount".
std::string reference_type(const cache::Usage::Item& item);

}  // namespace cbuild::cli
