// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::solver::ops {

/// Byte strings that are looked for at once. Reading a byte takes constant time on average, whatever the patterns are.
/// Immutable.
class PatternSet {
 public:
  /// How much of a pattern has just been read.
  using State = std::uint32_t;
  static constexpr State kStart = 0;
  static constexpr std::size_t kMaxPattern = 4096;

  /// Patterns have 1 to kMaxPattern bytes.
  explicit PatternSet(const std::vector<std::string>& patterns);

  bool empty() const { return nodes_.size() == 1; }
  State next(State state, unsigned char byte) const;
  /// How many of the bytes read last begin a pattern.
  std::size_t depth(State state) const { return nodes_[state].depth; }
  /// The length of the longest pattern that ends with the byte read last; 0: none does.
  std::size_t match(State state) const { return nodes_[state].match; }
  /// The first position from `at` whose byte begins a pattern.
  std::size_t find_start(std::string_view text, std::size_t at) const;

 private:
  struct Node {
    State child = 0, sibling = 0, fallback = 0;
    std::uint16_t depth = 0, match = 0;
    unsigned char byte = 0;
  };
  State child(State state, unsigned char byte) const;
  void add(std::string_view pattern);
  void link();

  std::vector<Node> nodes_;
  std::array<State, 256> first_{};  ///< children of the start
};

}  // namespace cbuild::solver::ops
