// SPDX-License-Identifier: Apache-2.0
// Reads members of documents that come from outside, checked for their type, and writes JSON as Go's encoding/json does
// (which characters are escaped, invalid UTF-8 replaced), since digests of what we write should be those of BuildKit's
// documents. Size and nesting are limited before parsing, because the library does not and writing back recurses. The
// writer appends text and keeps the order of the calls.
#include "oci/json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"

namespace cbuild::oci::json {

namespace {

using Value = nlohmann::json;
constexpr int kMaxDepth = 100;
constexpr std::size_t kMaxValues = 1u << 14;  ///< of one entry of a list

[[noreturn]] void bad(std::string message) { throw Error(ErrorCode::corrupt, std::move(message)); }

[[noreturn]] void wrong_type(const char* key, const char* wanted) { bad(cat("\"", key, "\" is not ", wanted)); }

/// The parser itself does not limit nesting, and writing values back recurses.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

void append_ascii(std::string& out, char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const auto u = static_cast<unsigned char>(c);
  if (u >= 0x20 && c != '<' && c != '>' && c != '&') {
    out += c;
    return;
  }
  out += "\\u00";
  out += kHex[u >> 4];
  out += kHex[u & 15];
}

void append_canonical(std::string& out, const Value& value) {
  if (value.is_object()) {
    char separator = '{';
    for (const auto& [key, member] : value.items()) {
      out += std::exchange(separator, ',');
      append_quoted(out, key);
      out += ':';
      append_canonical(out, member);
    }
    out += separator == '{' ? "{}" : "}";
  } else if (value.is_array()) {
    char separator = '[';
    for (const Value& element : value) {
      out += std::exchange(separator, ',');
      append_canonical(out, element);
    }
    out += separator == '[' ? "[]" : "]";
  } else if (value.is_string()) {
    append_quoted(out, value.get_ref<const std::string&>());
  } else {
    out += value.dump();
  }
}

Value parse_checked(std::string_view text, std::size_t limit, std::string_view what,
                    const Value::parser_callback_t& on_event) {
  if (text.size() > limit) bad(cat(what, ": larger than ", limit, " bytes"));
  if (too_deep(text)) bad(cat(what, ": nested deeper than ", kMaxDepth, " levels"));
  Value value;
  try {
    value = Value::parse(text, on_event);
  } catch (const Value::exception& e) {
    std::string_view reason = e.what();  // "[json.exception.parse_error.101] parse error at ..."
    if (const std::size_t end = reason.find("] "); end != std::string_view::npos) reason.remove_prefix(end + 2);
    bad(cat(what, ": not valid JSON: ", sanitize_for_terminal(reason)));
  }
  if (!value.is_object()) bad(cat(what, ": not a JSON object"));
  return value;
}

}  // namespace

Value parse_object(std::string_view text, std::size_t limit, std::string_view what) {
  return parse_checked(text, limit, what, nullptr);
}

Value parse_list(std::string_view text, std::size_t limit, std::string_view what, std::string_view key,
                 const std::function<void(const Value&)>& use) {
  using Event = Value::parse_event_t;
  bool in_list = false;
  std::size_t values = 0;
  const auto on_event = [&](int depth, Event event, Value& parsed) {
    if (depth == 1 && event == Event::key) in_list = parsed.get_ref<const std::string&>() == key;
    if (++values > kMaxValues) bad(cat(what, ": more than ", kMaxValues, " values in an entry"));
    if (!in_list || depth != 2) return true;
    if (event == Event::value || event == Event::array_start) bad(cat(what, ": an entry that is not an object"));
    if (event != Event::object_end) return true;
    use(parsed);
    values = 0;
    return false;
  };
  return parse_checked(text, limit, what, on_event);
}

const Value* find(const Value& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

const Value* object(const Value& parent, const char* key) {
  const Value* member = find(parent, key);
  if (member != nullptr && !member->is_object()) wrong_type(key, "an object");
  return member;
}

const Value* array(const Value& parent, const char* key) {
  const Value* member = find(parent, key);
  if (member != nullptr && !member->is_array()) wrong_type(key, "an array");
  return member;
}

std::string text(const Value& object, const char* key) {
  const Value* member = find(object, key);
  if (member == nullptr) return {};
  if (!member->is_string()) wrong_type(key, "a string");
  return member->get<std::string>();
}

std::int64_t integer(const Value& object, const char* key) {
  const Value* member = find(object, key);
  if (member == nullptr) return 0;
  if (!member->is_number_integer()) wrong_type(key, "an integer");
  if (member->is_number_unsigned() && member->get<std::uint64_t>() > INT64_MAX) wrong_type(key, "a 64 bit integer");
  return member->get<std::int64_t>();
}

bool boolean(const Value& object, const char* key) {
  const Value* member = find(object, key);
  if (member == nullptr) return false;
  if (!member->is_boolean()) wrong_type(key, "a boolean");
  return member->get<bool>();
}

std::vector<std::string> texts(const Value& object, const char* key) {
  std::vector<std::string> out;
  const Value* list = array(object, key);
  if (list == nullptr) return out;
  out.reserve(list->size());
  for (const Value& element : *list) {
    if (!element.is_string()) wrong_type(key, "an array of strings");
    out.push_back(element.get<std::string>());
  }
  return out;
}

std::map<std::string, std::string> text_map(const Value& parent, const char* key) {
  std::map<std::string, std::string> out;
  const Value* members = object(parent, key);
  if (members == nullptr) return out;
  for (const auto& [name, value] : members->items()) {
    if (!value.is_string() && !value.is_null()) wrong_type(key, "a map of strings");
    out.emplace(name, value.is_null() ? std::string() : value.get<std::string>());
  }
  return out;
}

std::set<std::string> key_set(const Value& parent, const char* key) {
  std::set<std::string> out;
  const Value* members = object(parent, key);
  if (members == nullptr) return out;
  for (const auto& [name, value] : members->items()) out.insert(name);
  return out;
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    if (!rune.valid) {
      out += "\\ufffd";
    } else if (rune.size == 1) {
      append_ascii(out, text[0]);
    } else if (rune.value == 0x2028 || rune.value == 0x2029) {
      out += rune.value == 0x2028 ? "\\u2028" : "\\u2029";
    } else {
      out += text.substr(0, rune.size);
    }
    text.remove_prefix(rune.size);
  }
  out += '"';
}

std::string canonical(const Value& value) {
  std::string out;
  append_canonical(out, value);
  return out;
}

Writer& Writer::open(char bracket) {
  separate();
  out_ += bracket;
  ++depth_;
  first_ = true;
  return *this;
}

Writer& Writer::close(char bracket) {
  CBUILD_CHECK(depth_ > 0 && !after_key_);
  --depth_;
  if (!first_) new_line();
  out_ += bracket;
  first_ = false;
  return *this;
}

Writer& Writer::key(std::string_view name) {
  separate();
  append_quoted(out_, name);
  out_ += style_ == Style::indented ? ": " : ":";
  after_key_ = true;
  return *this;
}

Writer& Writer::text(std::string_view value) {
  separate();
  append_quoted(out_, value);
  return *this;
}

Writer& Writer::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}

Writer& Writer::opt_text(std::string_view name, std::string_view value) {
  return value.empty() ? *this : key(name).text(value);
}

Writer& Writer::opt_number(std::string_view name, std::int64_t value) {
  return value == 0 ? *this : key(name).number(value);
}

Writer& Writer::opt_true(std::string_view name, bool value) { return value ? key(name).boolean(true) : *this; }

Writer& Writer::opt_texts(std::string_view name, const std::vector<std::string>& values) {
  if (values.empty()) return *this;
  key(name).begin_array();
  for (const std::string& value : values) text(value);
  return end_array();
}

Writer& Writer::opt_text_map(std::string_view name, const std::map<std::string, std::string>& values) {
  if (values.empty()) return *this;
  key(name).begin_object();
  for (const auto& [member, value] : values) key(member).text(value);
  return end_object();
}

void Writer::separate() {
  if (std::exchange(after_key_, false)) return;
  if (!first_) out_ += ',';
  if (depth_ > 0) new_line();
  first_ = false;
}

void Writer::new_line() {
  if (style_ != Style::indented) return;
  out_ += '\n';
  out_.append(2 * depth_, ' ');
}

}  // namespace cbuild::oci::json
