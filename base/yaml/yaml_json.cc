// SPDX-License-Identifier: Apache-2.0
// YAML as JSON values, for CDI and compose files: libyaml parses, scalars are typed by the rules of YAML 1.2's core
// schema with the older octal numbers. Depth and number of values are limited, because aliases make a small file expand
// without end; a key that stands twice is an error.
#include "base/yaml/yaml_json.h"

#include <yaml.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::yaml {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxValues = 1'000'000;

[[noreturn]] void fail(const yaml_mark_t& mark, std::string_view what) {
  throw Error(ErrorCode::input, cat("line ", mark.line + 1, ", column ", mark.column + 1, ": ", what));
}

/// Decimal, 0x..., 0o... and the older 0..., with a sign perhaps.
std::optional<std::int64_t> integer_of(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x"))
    base = 16;
  else if (text.starts_with("0o") || (text.size() > 1 && text.starts_with('0')))
    base = 8;
  text.remove_prefix(base == 16 || text.starts_with("0o") ? 2 : 0);
  std::int64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || text.starts_with('-') || end.ec != std::errc() || end.ptr != text.data() + text.size())
    return std::nullopt;
  return negative ? -value : value;
}

Json plain_scalar(std::string_view text) {
  for (const char* word : {"", "~", "null", "Null", "NULL"})
    if (text == word) return nullptr;
  for (const char* word : {"true", "True", "TRUE"})
    if (text == word) return true;
  for (const char* word : {"false", "False", "FALSE"})
    if (text == word) return false;
  if (const auto number = integer_of(text)) return *number;
  return std::string(text);
}

/// One parsed document; frees what the library allocated.
class Document {
 public:
  explicit Document(std::string_view text) {
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) throw Error(ErrorCode::internal, "out of memory");
    yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    const bool loaded = yaml_parser_load(&parser, &document_) != 0;
    const yaml_mark_t mark = parser.problem_mark;
    const std::string problem = parser.problem == nullptr ? "not YAML" : parser.problem;
    yaml_parser_delete(&parser);
    if (!loaded) fail(mark, problem);
  }
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;
  ~Document() { yaml_document_delete(&document_); }

  Json json() {
    yaml_node_t* root = yaml_document_get_root_node(&document_);
    return root == nullptr ? Json() : value(*root, 0);
  }

 private:
  Json value(const yaml_node_t& node, int depth);
  Json mapping(const yaml_node_t& node, int depth);
  std::string key(int index);

  yaml_document_t document_{};
  std::size_t values_ = 0;
};

std::string_view text_of(const yaml_node_t& node) {
  return {reinterpret_cast<const char*>(node.data.scalar.value), node.data.scalar.length};
}

std::string Document::key(int index) {
  const yaml_node_t& node = *yaml_document_get_node(&document_, index);
  if (node.type != YAML_SCALAR_NODE) fail(node.start_mark, "a key must be a word");
  return std::string(text_of(node));
}

Json Document::mapping(const yaml_node_t& node, int depth) {
  Json out = Json::object();
  for (const auto* pair = node.data.mapping.pairs.start; pair < node.data.mapping.pairs.top; ++pair) {
    std::string name = key(pair->key);
    if (out.contains(name)) fail(node.start_mark, cat("key ", name, " is there twice"));
    out[std::move(name)] = value(*yaml_document_get_node(&document_, pair->value), depth + 1);
  }
  return out;
}

Json Document::value(const yaml_node_t& node, int depth) {
  if (depth > kMaxDepth) fail(node.start_mark, "nested too deeply");
  if (++values_ > kMaxValues) fail(node.start_mark, "too many values");
  switch (node.type) {
    case YAML_SCALAR_NODE:
      if (node.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) return plain_scalar(text_of(node));
      return std::string(text_of(node));
    case YAML_SEQUENCE_NODE: {
      Json out = Json::array();
      for (const auto* item = node.data.sequence.items.start; item < node.data.sequence.items.top; ++item)
        out.push_back(value(*yaml_document_get_node(&document_, *item), depth + 1));
      return out;
    }
    case YAML_MAPPING_NODE:
      return mapping(node, depth);
    case YAML_NO_NODE:
      break;
  }
  return nullptr;
}

}  // namespace

nlohmann::json yaml_to_json(std::string_view text) { return Document(text).json(); }

}  // namespace cbuild::yaml
