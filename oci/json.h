// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// Strict reading of foreign JSON, and writing with the bytes Go's encoding/json gives, so that documents
/// made here have the digests BuildKit would give them.
namespace cbuild::oci::json {

/// Parses a document of at most `limit` bytes and 100 levels that is an object at the top. Throws
/// Error{corrupt} whose message begins with `what` ("image config").
nlohmann::json parse_object(std::string_view text, std::size_t limit, std::string_view what);

/// The same for a document that is mostly a list: each element of the array `key` must be an object of few values,
/// which is given to `use` as it is parsed and then dropped. Returns the rest of the document.
nlohmann::json parse_list(std::string_view text, std::size_t limit, std::string_view what, std::string_view key,
                          const std::function<void(const nlohmann::json&)>& use);

/// Member of an object; nullptr when it is missing or null.
const nlohmann::json* find(const nlohmann::json& object, const char* key);

/// Members by type. Missing and null give the empty value; another type throws Error{corrupt} naming the key.
std::string text(const nlohmann::json& object, const char* key);
std::int64_t integer(const nlohmann::json& object, const char* key);
bool boolean(const nlohmann::json& object, const char* key);
std::vector<std::string> texts(const nlohmann::json& object, const char* key);
std::map<std::string, std::string> text_map(const nlohmann::json& object, const char* key);
/// Keys of a member that is an object ("ExposedPorts": {"80/tcp": {}}).
std::set<std::string> key_set(const nlohmann::json& object, const char* key);
/// As find(), but throws unless the member is an object or an array respectively.
const nlohmann::json* object(const nlohmann::json& parent, const char* key);
const nlohmann::json* array(const nlohmann::json& parent, const char* key);

/// A JSON string literal as Go writes it: <, >, &, U+2028 and U+2029 escaped, bad UTF-8 replaced by \ufffd.
void append_quoted(std::string& out, std::string_view text);
/// Compact text of a value with sorted keys and Go's escapes.
std::string canonical(const nlohmann::json& value);

/// Writes one document. Calls must nest properly; commas and indentation are its own business.
class Writer {
 public:
  enum class Style {
    compact,   ///< json.Marshal
    indented,  ///< json.MarshalIndent(v, "", "  ")
  };
  explicit Writer(Style style = Style::compact) : style_(style) {}

  Writer& begin_object() { return open('{'); }
  Writer& end_object() { return close('}'); }
  Writer& begin_array() { return open('['); }
  Writer& end_array() { return close(']'); }
  Writer& key(std::string_view name);
  Writer& text(std::string_view value);
  Writer& number(std::int64_t value) { return raw(std::to_string(value)); }
  Writer& boolean(bool value) { return raw(value ? "true" : "false"); }
  Writer& null() { return raw("null"); }
  /// Compact JSON text, taken as it is.
  Writer& raw(std::string_view json);

  /// key() and a value, left out when the value is empty (Go's omitempty).
  Writer& opt_text(std::string_view name, std::string_view value);
  Writer& opt_number(std::string_view name, std::int64_t value);
  Writer& opt_true(std::string_view name, bool value);
  Writer& opt_texts(std::string_view name, const std::vector<std::string>& values);
  Writer& opt_text_map(std::string_view name, const std::map<std::string, std::string>& values);

  std::string take() { return std::move(out_); }

 private:
  Writer& open(char bracket);
  Writer& close(char bracket);
  void separate();
  void new_line();

  Style style_;
  std::string out_;
  std::size_t depth_ = 0;
  bool first_ = true;  ///< nothing written yet in the innermost bracket
  bool after_key_ = false;
};

}  // namespace cbuild::oci::json
