// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "solver/ops/secret_values.h"

namespace cbuild::solver::ops {

/// A stream of output in which each appearance of a secret is replaced by "***", also one that comes in parts;
/// overlapping and touching ones by one "***". Bytes that may be the beginning of an appearance are held back, at most
/// PatternSet::kMaxPattern of them. Not thread-safe.
class SecretMask {
 public:
  using Sink = std::function<void(std::string_view)>;

  /// `values` may grow and must outlive the mask; null: nothing is replaced.
  explicit SecretMask(const SecretValues* values) : values_(values) {}
  void write(std::string_view data, const Sink& sink);
  /// Lets go of what is held back: the output has ended, or does not go on from here.
  void flush(const Sink& sink);

 private:
  /// Positions in the text at hand.
  struct Match {
    std::size_t begin, end;
  };
  void scan(std::string_view text, std::size_t from);
  void add_match(Match match);
  void emit(std::string_view text, std::size_t end, const Sink& sink);

  const SecretValues* values_;
  std::shared_ptr<const PatternSet> patterns_;
  PatternSet::State state_ = PatternSet::kStart;
  std::string held_;            ///< read, not passed on yet
  std::vector<Match> matches_;  ///< in held_, in order, apart from each other
  bool said_ = false;           ///< "***" was the last that was passed on
};

}  // namespace cbuild::solver::ops
