// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "supply/statement.h"

namespace cbuild::exporter {

/// A document about the result of a target, for its outputs: the predicate of an in-toto statement.
struct Attestation {
  std::string predicate_type;
  std::string file_name;                   ///< where the output is files: "provenance.json"
  bool inline_only = false;                ///< only for outputs with attestation-inline=true
  std::function<std::string()> predicate;  ///< JSON, as of now. Throws Error.
  /// What it is about; empty: all of the output.
  std::vector<supply::Subject> subjects = {};
};

}  // namespace cbuild::exporter
