// SPDX-License-Identifier: Apache-2.0
// TOML by toml++, which sorts the members of a table; hosts.toml is read in the order of its text, so that is restored
// from the places of the values.
#include "oci/routes/toml_text.h"

#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::oci::routes {
namespace {

using Json = nlohmann::ordered_json;

Json to_ordered(const toml::node& node);

Json table_to_json(const toml::table& table) {
  std::vector<std::pair<toml::source_position, std::string>> order;
  for (const auto& [key, value] : table) order.emplace_back(key.source().begin, std::string(key.str()));
  std::sort(order.begin(), order.end());
  Json out = Json::object();
  for (const auto& [place, key] : order) out[key] = to_ordered(*table.get(key));
  return out;
}

template <typename T>
Json text_of_date(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

Json to_ordered(const toml::node& node) {
  if (const auto* table = node.as_table()) return table_to_json(*table);
  if (const auto* array = node.as_array()) {
    Json out = Json::array();
    for (const toml::node& element : *array) out.push_back(to_ordered(element));
    return out;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* real = node.as_floating_point()) return real->get();
  if (const auto* truth = node.as_boolean()) return truth->get();
  if (const auto* date = node.as_date()) return text_of_date(date->get());
  if (const auto* time = node.as_time()) return text_of_date(time->get());
  if (const auto* moment = node.as_date_time()) return text_of_date(moment->get());
  return nullptr;
}

}  // namespace

Json parse_toml(std::string_view text, const std::string& file) {
  try {
    return table_to_json(toml::parse(text, std::string_view(file)));
  } catch (const toml::parse_error& error) {
    throw Error(ErrorCode::input, cat(file, ':', error.source().begin.line, ": ", error.description()));
  }
}

const Json* ConfigTable::find(const char* key) const {
  const auto it = table_.find(key);
  return it == table_.end() || it->is_null() ? nullptr : &*it;
}

void ConfigTable::refuse(const char* key, std::string_view why) const {
  throw Error(ErrorCode::input, cat(file_, ": ", key, ' ', why));
}

std::string ConfigTable::text(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_string()) refuse(key, "is not a string");
  return value->get<std::string>();
}

bool ConfigTable::truth(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) refuse(key, "is not true or false");
  return value->get<bool>();
}

std::vector<std::string> ConfigTable::texts(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) refuse(key, "is not an array of strings");
  std::vector<std::string> out;
  for (const Json& element : *value) {
    if (!element.is_string()) refuse(key, "is not an array of strings");
    out.push_back(element.get<std::string>());
  }
  return out;
}

std::vector<const Json*> ConfigTable::tables(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (value->is_object()) return {value};
  if (!value->is_array()) refuse(key, "is not an array of tables");
  std::vector<const Json*> out;
  for (const Json& element : *value) {
    if (!element.is_object()) refuse(key, "is not an array of tables");
    out.push_back(&element);
  }
  return out;
}

}  // namespace cbuild::oci::routes
