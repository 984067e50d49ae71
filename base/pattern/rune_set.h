// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <vector>

namespace cbuild::detail {

/// The characters of a pattern's class: inclusive ranges, or all others when negated.
struct RuneSet {
  struct Range {
    char32_t first, last;
  };
  std::vector<Range> ranges;
  bool negated = false;

  bool contains(char32_t rune) const {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const Range& r) { return rune >= r.first && rune <= r.last; }) != negated;
  }
  void add(char32_t first, char32_t last) { ranges.push_back({first, last}); }
};

}  // namespace cbuild::detail
