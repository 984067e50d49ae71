// SPDX-License-Identifier: Apache-2.0
#include "sandbox/subid.h"

#include <limits>
#include <optional>

#include "base/text.h"

namespace cbuild::sandbox {
namespace {

std::optional<std::uint32_t> parse_id(std::string_view text) {
  const auto value = parse_int(text);
  if (!value || *value < 0 || *value > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

}  // namespace

std::vector<IdRange> parse_subids(std::string_view text, std::string_view name, std::uint32_t uid) {
  std::vector<IdRange> ranges;
  for (const std::string& line : split(text, '\n')) {
    const auto fields = split(trim(line), ':');
    if (fields.size() != 3 || fields[0].empty()) continue;
    if (fields[0] != name && parse_id(fields[0]) != std::optional(uid)) continue;
    const auto start = parse_id(fields[1]), count = parse_id(fields[2]);
    if (start && count && *count > 0 && *count <= std::numeric_limits<std::uint32_t>::max() - *start)
      ranges.push_back({*start, *count});
  }
  return ranges;
}

std::vector<IdMapping> map_ids(std::uint32_t own_id, std::span<const IdRange> ranges) {
  std::vector<IdMapping> mappings = {{0, own_id, 1}};
  std::uint32_t next = 1;
  for (const IdRange& range : ranges) {
    mappings.push_back({next, range.start, range.count});
    next += range.count;
  }
  return mappings;
}

std::vector<IdMapping> identity_map(std::string_view uid_map) {
  std::vector<IdMapping> mappings;
  for (const std::string& line : split(uid_map, '\n')) {
    std::vector<std::uint32_t> numbers;
    for (const std::string& field : split(line, ' '))
      if (const auto number = parse_id(field)) numbers.push_back(*number);
    if (numbers.size() == 3) mappings.push_back({numbers[0], numbers[0], numbers[2]});
  }
  return mappings;
}

std::string map_text(std::span<const IdMapping> mappings) {
  std::string text;
  for (const IdMapping& m : mappings) text += cat(m.inside, " ", m.outside, " ", m.count, "\n");
  return text;
}

}  // namespace cbuild::sandbox
