// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/diagnostic.h"
#include "frontend/syntax/include_map.h"

namespace cbuild::frontend {

/// Collects the mistakes in one file, so that a run reports every independent mistake.
class Report {
 public:
  static constexpr std::size_t kMaxErrors = 20;

  /// An instruction that cannot be carried out. In an ONBUILD trigger it is a warning: the image can be built, only the
  /// builds on top of it fail.
  void error(Span span, std::string message, std::string hint = {});
  /// Text that does not follow the grammar: an error in triggers as well.
  void malformed(Span span, std::string message, std::string hint = {});
  /// Something that may well be meant.
  void note(Diagnostic diagnostic) { warnings_.push_back(std::move(diagnostic)); }

  /// Runs `body` as part of an ONBUILD trigger.
  template <typename Body>
  void in_trigger(const Body& body) {
    const bool outer = std::exchange(in_trigger_, true);
    body();
    in_trigger_ = outer;
  }

  bool ok() const { return errors_.empty(); }
  std::vector<Diagnostic> take_warnings() { return std::move(warnings_); }
  /// Throws DiagnosticError if there was an error. `includes` shows the way to errors in included files.
  void throw_errors(const IncludeMap& includes = {});

 private:
  std::vector<Diagnostic> errors_, warnings_;
  bool in_trigger_ = false;
};

}  // namespace cbuild::frontend
