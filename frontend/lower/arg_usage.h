// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::frontend {

/// Which variables a command can be seen to use (`--arg-keys=used`, docs/cache.md).
struct ArgUsage {
  bool all = true;                    ///< it may use any: nothing can be ruled out
  std::set<std::string> words;        ///< else: every word of its text that could be a name,
  std::vector<std::string> prefixes;  ///< and those that its programs read by themselves ("GIT_", "LC_")

  bool uses(std::string_view name) const;
};

/// Reads the argument list of a RUN: `argv` is "/bin/sh -c TEXT" with whatever options, or anything else, which may use
/// all. Rules nothing out unless every program that the text names is one whose use of the environment is known (the
/// table in arg_usage.cc), and the text is plain: no functions, no case, no indirection. `plain` false: there are
/// scripts besides the text.
ArgUsage arg_usage(const std::vector<std::string>& argv, bool plain);

}  // namespace cbuild::frontend
