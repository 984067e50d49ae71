// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::supply {

inline constexpr std::string_view kStatementMediaType = "application/vnd.in-toto+json";
inline constexpr std::string_view kSpdxPredicate = "https://spdx.dev/Document";

/// A file or an image that a statement is about.
struct Subject {
  std::string name;
  std::map<std::string, std::string> digest;  ///< by algorithm, in hex

  bool operator==(const Subject&) const = default;
};

/// An in-toto statement (github.com/in-toto/attestation, spec/v1/statement.md) as JSON: on one line, or `indented` by
/// two blanks as a file has it. `predicate` is JSON. Throws Error{corrupt} if it is not.
std::string to_statement(std::string_view predicate_type, const std::vector<Subject>& subjects,
                         std::string_view predicate, bool indented = false);

}  // namespace cbuild::supply
