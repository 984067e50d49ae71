// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/include_map.h"

#include <algorithm>

namespace cbuild::frontend {

/// The offsets that lead from the Dockerfile to the span.
std::vector<std::size_t> IncludeMap::reading_position(const Span& span) const {
  std::vector<std::size_t> out;
  if (!span) return out;
  out.push_back(span.begin);
  for (auto place = places_.find(span.source.get()); place != places_.end();
       place = places_.find(place->second.source.get())) {
    out.push_back(place->second.begin);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

bool IncludeMap::stands_before(const Span& a, const Span& b) const { return reading_position(a) < reading_position(b); }

std::vector<Diagnostic> IncludeMap::with_chains(const std::vector<Diagnostic>& diagnostics) const {
  std::vector<Diagnostic> out;
  for (const Diagnostic& diagnostic : diagnostics) {
    out.push_back(diagnostic);
    for (auto place = places_.find(diagnostic.span.source.get()); place != places_.end();
         place = places_.find(place->second.source.get())) {
      out.push_back({Severity::note, place->second, "included from here", {}, {}});
    }
  }
  return out;
}

}  // namespace cbuild::frontend
