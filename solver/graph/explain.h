// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "solver/graph/key_part.h"

namespace cbuild::solver {

/// One part of a step that was different before.
struct Difference {
  enum class Kind { instruction, argument, variable, secret, file, files, base, step, option };
  Kind kind = Kind::instruction;
  std::string name;  ///< path, variable, step; empty for the instruction itself
  std::string
      change;  ///< "content", "mode", "owner", "type", "attributes", "new", "removed", "value", "text", "result"
  std::string before, after;  ///< digests, modes, texts; both empty where the values may be confidential
  std::string text;           ///< the same as a sentence: "src/main.c: mode changed (0644 -> 0755)"

  bool operator==(const Difference&) const = default;
};
std::string_view to_string(Difference::Kind kind);

/// Why a step was not taken from the cache.
struct Reason {
  enum class Kind {
    none,             ///< it was, or never began
    never_built,      ///< nothing like it was built before
    changed,          ///< see `differences`, the most telling first
    evicted,          ///< gc took the result at `evicted_ns`
    no_cache,         ///< the cache was not to be used
    missing_content,  ///< built before of the same inputs, but the result is not there any more
  };
  Kind kind = Kind::none;
  std::string text;  ///< one line, no control characters that were not in a name
  std::vector<Difference> differences;
  std::int64_t evicted_ns = 0;

  bool operator==(const Reason&) const = default;
};
std::string_view to_string(Reason::Kind kind);

/// The changes between two make-ups of a step. Parts that follow from others (the digest of a whole selection whose
/// files are listed) are left out, and so are labels that begin with "about ". Own causes come first, then the base,
/// then earlier steps.
std::vector<Difference> differences(const std::vector<KeyPart>& before, const std::vector<KeyPart>& now);

/// The parts that belong to a selection of files from `origin` ("" for the build context); `parts` as an Executor gives
/// them, one for each path.
std::vector<KeyPart> selection_parts(const std::string& origin, const Digest& whole, std::vector<KeyPart> parts);

}  // namespace cbuild::solver
