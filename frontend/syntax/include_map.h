// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "base/diagnostic.h"

namespace cbuild::frontend {

/// Where each included file stands in the file that includes it.
class IncludeMap {
 public:
  /// `at`: the INCLUDE instruction.
  void add(const std::shared_ptr<const SourceText>& included, Span at) { places_[included.get()] = std::move(at); }

  bool is_included(const Span& span) const { return places_.contains(span.source.get()); }
  /// Whether `a` begins before `b` for one who reads the Dockerfile and each included file at its place. Empty spans
  /// first.
  bool stands_before(const Span& a, const Span& b) const;
  /// The diagnostics, and after each that is in an included file a note for every INCLUDE that leads there, the
  /// innermost first.
  std::vector<Diagnostic> with_chains(const std::vector<Diagnostic>& diagnostics) const;

 private:
  std::vector<std::size_t> reading_position(const Span& span) const;

  std::map<const SourceText*, Span> places_;
};

}  // namespace cbuild::frontend
