// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "frontend/syntax/ast.h"
#include "frontend/syntax/parser_report.h"

namespace cbuild::frontend {

enum class FlagKind {
  boolean,  ///< --f, --f=true, --f=false in any case
  text,     ///< --f=value, once
  list,     ///< --f=value, any number of times
};
struct FlagSpec {
  std::string_view name;
  FlagKind kind;
};

/// The flags of one instruction, checked against those it takes. Unknown, repeated and ill-formed ones are reported,
/// with a suggestion for a misspelt name. Refers to the flags it was made from.
class FlagSet {
 public:
  FlagSet(const std::vector<Flag>& flags, std::span<const FlagSpec> specs, Report& report);

  /// nullopt if the flag was not given or is empty, which is the same.
  std::optional<Text> text(std::string_view name) const;
  std::vector<Text> list(std::string_view name) const;
  /// nullopt if the flag was not given.
  std::optional<bool> boolean(std::string_view name) const;

 private:
  std::vector<const Flag*> known_;
};

/// Reports every flag: for instructions that take none.
void reject_flags(const std::vector<Flag>& flags, Report& report);

}  // namespace cbuild::frontend
