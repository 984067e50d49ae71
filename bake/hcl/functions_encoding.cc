// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>

#include "bake/hcl/functions.h"
#include "base/text.h"
#include "base/utf8.h"

namespace cbuild::bake::hcl {
namespace {

const std::string& text_of(const Values& arguments) { return arguments[0].as_string(); }

Value encode_base64(const Values& arguments) { return Value::string(base64_encode(text_of(arguments))); }

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    if (!rune.valid) return false;
    text.remove_prefix(rune.size);
  }
  return true;
}

Value decode_base64(const Values& arguments) {
  const auto out = base64_decode(text_of(arguments));
  if (!out) throw ValueError("value is not base64");
  if (!is_utf8(*out)) throw ValueError("decoded value is not UTF-8");
  return Value::string(*out);
}

/// Go's url.QueryEscape.
Value encode_url(const Values& arguments) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text_of(arguments)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && (std::isalnum(byte) != 0 || std::string_view("-_.~").find(c) != std::string_view::npos))
      out += c;
    else if (c == ' ')
      out += '+';
    else
      ((out += '%') += kHex[byte >> 4]) += kHex[byte & 15];
  }
  return Value::string(std::move(out));
}

Value encode_json(const Values& arguments) { return Value::string(to_json(arguments[0])); }

/// Builds a value from the parser's events, so that numbers keep their digits and depth is bounded.
class JsonReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return add(Value()); }
  bool boolean(bool value) override { return add(Value::boolean(value)); }
  bool number_integer(number_integer_t value) override { return add(Value::number(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    return add(Value::number(Number::parse(std::to_string(value)).value_or(Number())));
  }
  bool number_float(number_float_t, const string_t& text) override {
    const auto number = Number::parse(text);
    if (!number) throw ValueError("a number is too large");
    return add(Value::number(*number));
  }
  bool string(string_t& value) override { return add(Value::string(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(true); }
  bool key(string_t& name) override {
    stack_.back().keys.push_back(name);
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(false); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) override {
    throw ValueError(cat("text is not JSON at byte ", at));
  }
  Value result;

 private:
  struct Level {
    bool object = false;
    std::vector<std::string> keys;
    Values values;
  };
  bool open(bool object) {
    if (stack_.size() >= 100) throw ValueError("JSON is nested more than 100 levels deep");
    stack_.push_back({object, {}, {}});
    return true;
  }
  bool close() {
    Level level = std::move(stack_.back());
    stack_.pop_back();
    if (!level.object) return add(Value::tuple(std::move(level.values)));
    ValueMap entries;
    for (std::size_t i = 0; i < level.keys.size(); ++i) entries.insert_or_assign(level.keys[i], level.values[i]);
    return add(Value::object(std::move(entries)));
  }
  bool add(Value value) {
    if (stack_.empty())
      result = std::move(value);
    else
      stack_.back().values.push_back(std::move(value));
    return true;
  }
  std::vector<Level> stack_;
};

Value decode_json(const Values& arguments) {
  JsonReader reader;
  nlohmann::json::sax_parse(text_of(arguments), &reader);
  return reader.result;
}

struct CsvReader {
  std::string_view text;
  std::size_t pos = 0;

  bool at_end() const { return pos >= text.size(); }
  char peek() const { return at_end() ? '\0' : text[pos]; }
};

std::string quoted_field(CsvReader& reader) {
  std::string out;
  for (++reader.pos; !reader.at_end(); ++reader.pos) {
    if (reader.peek() == '"') {
      ++reader.pos;
      if (reader.peek() != '"') return out;
    }
    out += reader.peek();
  }
  throw ValueError("a quoted field is not closed");
}

std::string read_field(CsvReader& reader) {
  if (reader.peek() == '"') {
    std::string out = quoted_field(reader);
    if (!reader.at_end() && std::string_view(",\r\n").find(reader.peek()) == std::string_view::npos)
      throw ValueError("text after a quoted field");
    return out;
  }
  std::string out;
  while (!reader.at_end() && reader.peek() != ',' && reader.peek() != '\n') {
    if (reader.peek() == '"') throw ValueError("quote within a field that does not begin with one");
    out += reader.text[reader.pos++];
  }
  if (out.ends_with('\r')) out.pop_back();
  return out;
}

/// The next line that is not empty; no fields at the end.
std::vector<std::string> read_row(CsvReader& reader) {
  while (reader.peek() == '\n' || (reader.peek() == '\r' && reader.text.substr(reader.pos).starts_with("\r\n")))
    ++reader.pos;
  std::vector<std::string> out;
  if (reader.at_end()) return out;
  while (true) {
    out.push_back(read_field(reader));
    if (reader.peek() == '\r') ++reader.pos;
    if (reader.peek() != ',') break;
    ++reader.pos;
  }
  if (reader.peek() == '\n') ++reader.pos;
  return out;
}

Value decode_csv(const Values& arguments) {
  CsvReader reader{text_of(arguments)};
  const auto names = read_row(reader);
  if (names.empty()) throw ValueError("the line with the names of the columns is missing");
  std::map<std::string, Type> columns;
  for (const std::string& name : names)
    if (!columns.emplace(name, Type::string()).second)
      throw ValueError(cat("two columns have the name ", go_quote(name)));
  Values rows;
  for (auto row = read_row(reader); !row.empty(); row = read_row(reader)) {
    if (row.size() != names.size()) throw ValueError(cat("row ", rows.size() + 1, " has another number of fields"));
    ValueMap out;
    for (std::size_t i = 0; i < row.size(); ++i) out.emplace(names[i], Value::string(row[i]));
    rows.push_back(Value::object(std::move(out)));
  }
  return Value::list(Type::object(std::move(columns)), std::move(rows));
}

/// Nothing in a bake file makes a buffer of bytes, so these exist for their error alone, as in buildx.
Value no_bytes(const Values&) { throw ValueError("bytes are required"); }

constexpr Function kEncodingFunctions[] = {
    {"base64decode", "s", decode_base64}, {"base64encode", "s", encode_base64}, {"byteslen", "d", no_bytes},
    {"bytesslice", "dnn", no_bytes},      {"csvdecode", "s", decode_csv},       {"jsondecode", "s", decode_json},
    {"jsonencode", "d?", encode_json},    {"urlencode", "s", encode_url},
};

}  // namespace

std::span<const Function> encoding_functions() { return kEncodingFunctions; }

}  // namespace cbuild::bake::hcl
