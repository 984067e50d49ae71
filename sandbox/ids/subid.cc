// SPDX-License-Identifier: Apache-2.0
#include "sandbox/ids/subid.h"

#include <algorithm>
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

void add_range(std::string_view first, std::string_view length, std::vector<IdRange>& ranges) {
  const auto start = parse_id(first), count = parse_id(length);
  if (start && count && *count > 0 && *count <= std::numeric_limits<std::uint32_t>::max() - *start)
    ranges.push_back({*start, *count});
}

/// The words of a line.
std::vector<std::string> words_of(std::string_view line) {
  std::string blanks(line);
  std::replace(blanks.begin(), blanks.end(), '\t', ' ');
  std::vector<std::string> words = split(trim(blanks), ' ');
  std::erase(words, "");
  return words;
}

}  // namespace

std::vector<IdRange> parse_subids(std::string_view text, std::string_view name, std::uint32_t uid) {
  std::vector<IdRange> ranges;
  for (const std::string& line : split(text, '\n')) {
    const auto fields = split(trim(line), ':');
    if (fields.size() != 3 || fields[0].empty()) continue;
    if (fields[0] != name && parse_id(fields[0]) != std::optional(uid)) continue;
    add_range(fields[1], fields[2], ranges);
  }
  return ranges;
}

std::vector<IdRange> parse_getsubids(std::string_view text) {
  std::vector<IdRange> ranges;
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> words = words_of(line);
    if (words.size() == 4 && words[0].ends_with(':')) add_range(words[2], words[3], ranges);
  }
  return ranges;
}

bool has_subid_source(std::string_view nsswitch) {
  for (const std::string& line : split(nsswitch, '\n')) {
    const std::string key = to_lower(trim(line.substr(0, line.find(':'))));
    if (key != "subid" || line.find(':') == std::string::npos) continue;
    const std::vector<std::string> sources = words_of(line.substr(line.find(':') + 1));
    return !sources.empty() && !sources[0].starts_with('#') && to_lower(sources[0]) != "files";
  }
  return false;
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
