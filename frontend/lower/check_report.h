// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/diagnostic.h"

namespace cbuild::frontend {

/// The result of --call=check.
struct CheckResult {
  std::vector<Diagnostic> warnings;                        ///< in the order of the file, each with its rule
  std::vector<Diagnostic> errors;                          ///< mistakes that keep the file from being built
  std::vector<std::shared_ptr<const SourceText>> sources;  ///< the Dockerfile, then the files it includes
  bool parse_failed = false;                               ///< the errors are of the file's form

  bool clean() const { return warnings.empty() && errors.empty(); }
};

/// As people read it: how many, then each warning with its rule, the rule's page, message and lines. Errors are not in
/// it.
std::string check_text(const CheckResult& result);

/// BuildKit's lint result: warnings, sources (base64), buildError.
std::string check_json(const CheckResult& result);

}  // namespace cbuild::frontend
