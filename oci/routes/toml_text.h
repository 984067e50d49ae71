// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::oci::routes {

/// A TOML document as JSON, members in the order of the text. Dates become text. Throws Error{input} "FILE:LINE: ...".
nlohmann::ordered_json parse_toml(std::string_view text, const std::string& file);

/// Reads members of one table of a configuration file; a wrong type is Error{input} that names file and key.
class ConfigTable {
 public:
  /// Both are borrowed.
  ConfigTable(const nlohmann::ordered_json& table, const std::string& file) : table_(table), file_(file) {}

  /// Missing: "".
  std::string text(const char* key) const;
  /// Missing: false.
  bool truth(const char* key) const;
  /// An array of strings, or one string. Missing: empty.
  std::vector<std::string> texts(const char* key) const;
  /// An array of tables; a table alone is one of them. Missing: empty.
  std::vector<const nlohmann::ordered_json*> tables(const char* key) const;
  /// Null if it is missing.
  const nlohmann::ordered_json* find(const char* key) const;
  /// Throws.
  [[noreturn]] void refuse(const char* key, std::string_view why) const;

 private:
  const nlohmann::ordered_json& table_;
  const std::string& file_;
};

}  // namespace cbuild::oci::routes
