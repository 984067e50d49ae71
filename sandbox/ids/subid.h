// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::sandbox {

/// Ids that a user may map besides its own.
struct IdRange {
  std::uint32_t start = 0, count = 0;
  bool operator==(const IdRange&) const = default;
};

/// The lines of /etc/subuid or /etc/subgid for a user given by name or number. Malformed lines are skipped.
std::vector<IdRange> parse_subids(std::string_view text, std::string_view name, std::uint32_t uid);

/// The same from the output of shadow's getsubids: "0: alice 100000 65536".
std::vector<IdRange> parse_getsubids(std::string_view text);
/// Whether nsswitch.conf names a source of ranges other than the files ("subid: sss"). As in shadow, the first counts.
bool has_subid_source(std::string_view nsswitch);

/// One line of uid_map.
struct IdMapping {
  std::uint32_t inside = 0, outside = 0, count = 0;
  bool operator==(const IdMapping&) const = default;
};

/// 0 is `own_id`, 1 and on are the ranges one after the other.
std::vector<IdMapping> map_ids(std::uint32_t own_id, std::span<const IdRange> ranges);
/// Everything that `uid_map` (of the namespace outside) offers, unchanged.
std::vector<IdMapping> identity_map(std::string_view uid_map);
/// As uid_map takes it.
std::string map_text(std::span<const IdMapping> mappings);

}  // namespace cbuild::sandbox
