// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "solver/ops/pattern_set.h"

namespace cbuild::solver::ops {

/// The forms in which a value is looked for in output: the value without blanks at its ends; its lines, if it has
/// several; what base64, percent encoding, JSON and a tracing shell make of it. Only forms of at least 8 bytes; long
/// ones in pieces that a PatternSet takes.
std::vector<std::string> forms_of_secret(const std::string& value);

/// The values of secrets that a build has read. Thread-safe.
class SecretValues {
 public:
  SecretValues();
  void add(const std::string& value);
  /// Patterns for all values so far. Never null.
  std::shared_ptr<const PatternSet> patterns() const;
  /// As they were added.
  std::set<std::string> values() const;

 private:
  mutable std::mutex mutex_;  // guards the three below
  std::set<std::string> values_;
  std::set<std::string> forms_;
  std::shared_ptr<const PatternSet> patterns_;
};

}  // namespace cbuild::solver::ops
