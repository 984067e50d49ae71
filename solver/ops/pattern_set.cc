// SPDX-License-Identifier: Apache-2.0
// The automaton of Aho and Corasick: a tree of all patterns, and from each node a way back to the longest other
// beginning of a pattern that ends there.
#include "solver/ops/pattern_set.h"

#include <algorithm>

#include "base/error.h"

namespace cbuild::solver::ops {

PatternSet::PatternSet(const std::vector<std::string>& patterns) : nodes_(1) {
  for (const std::string& pattern : patterns) add(pattern);
  link();
}

PatternSet::State PatternSet::child(State state, unsigned char byte) const {
  if (state == kStart) return first_[byte];
  State found = nodes_[state].child;
  while (found != kStart && nodes_[found].byte != byte) found = nodes_[found].sibling;
  return found;
}

void PatternSet::add(std::string_view pattern) {
  CBUILD_CHECK(!pattern.empty() && pattern.size() <= kMaxPattern);
  State state = kStart;
  for (const char c : pattern) {
    const auto byte = static_cast<unsigned char>(c);
    State below = child(state, byte);
    if (below == kStart) {
      below = static_cast<State>(nodes_.size());
      Node node;
      node.sibling = nodes_[state].child;
      node.depth = static_cast<std::uint16_t>(nodes_[state].depth + 1);
      node.byte = byte;
      nodes_.push_back(node);
      nodes_[state].child = below;
      if (state == kStart) first_[byte] = below;
    }
    state = below;
  }
  nodes_[state].match = nodes_[state].depth;
}

/// Level by level: the way back of a node leads to a level above it.
void PatternSet::link() {
  std::vector<State> level{kStart}, below;
  for (; !level.empty(); level.swap(below), below.clear()) {
    for (const State state : level) {
      for (State node = nodes_[state].child; node != kStart; node = nodes_[node].sibling) {
        const State back = state == kStart ? kStart : next(nodes_[state].fallback, nodes_[node].byte);
        nodes_[node].fallback = back;
        nodes_[node].match = std::max(nodes_[node].match, nodes_[back].match);
        below.push_back(node);
      }
    }
  }
}

PatternSet::State PatternSet::next(State state, unsigned char byte) const {
  for (;; state = nodes_[state].fallback) {
    if (const State below = child(state, byte); below != kStart) return below;
    if (state == kStart) return kStart;
  }
}

std::size_t PatternSet::find_start(std::string_view text, std::size_t at) const {
  while (at < text.size() && first_[static_cast<unsigned char>(text[at])] == kStart) ++at;
  return at;
}

}  // namespace cbuild::solver::ops
