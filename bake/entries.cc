// SPDX-License-Identifier: Apache-2.0
// Entries that are text in one file and an object in the next (outputs, caches, secrets): both become the same value.
#include "bake/entries.h"

#include <algorithm>

#include "bake/hcl/convert.h"
#include "base/csv.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::bake {
namespace {

using hcl::Type;
using hcl::Value;
using hcl::ValueError;

std::pair<std::string, std::string> key_value(const std::string& field) {
  const auto equals = field.find('=');
  if (equals == std::string::npos) throw ValueError(cat("invalid value ", field, ", expected key=value"));
  return {field.substr(0, equals), field.substr(equals + 1)};
}

std::string key_of(const std::string& key) { return to_lower(trim(key)); }

/// The elements of a list that are there.
hcl::Values elements_of(const Value& list) {
  if (!list.is_sequence() || list.is_set()) throw ValueError("a list is required");
  hcl::Values out;
  for (const Value& item : list.items())
    if (!item.is_string() || !item.as_string().empty()) out.push_back(item);
  return out;
}

/// An object as strings; null members are left out.
Attributes texts_of(const Value& value) {
  const Value map = hcl::convert(value, Type::map(Type::string()));
  if (map.is_null()) throw ValueError("an element is null");
  Attributes out;
  for (const auto& [key, item] : map.entries()) {
    if (item.is_null()) throw ValueError(cat("element ", go_quote(key), " is null"));
    out.emplace(key, item.as_string());
  }
  return out;
}

std::string take(Attributes& attributes, const std::string& key) {
  const auto found = attributes.find(key);
  if (found == attributes.end()) return "";
  std::string out = found->second;
  attributes.erase(found);
  return out;
}

template <typename T, typename Text, typename Object>
std::vector<T> read_each(const Value& list, Text from_text, Object from_object) {
  std::vector<T> out;
  for (const Value& item : elements_of(list)) {
    if (item.is_string())
      out.push_back(from_text(item.as_string()));
    else
      out.push_back(from_object(item));
  }
  return out;
}

CacheEntry cache_of(const Value& value) {
  CacheEntry out;
  out.attributes = texts_of(value);
  out.type = take(out.attributes, "type");
  if (out.type.empty()) throw ValueError(cat("type required for ", go_quote(hcl::to_json(value))));
  return out;
}

OutputEntry output_of(const Value& value) {
  OutputEntry out;
  out.attributes = texts_of(value);
  out.type = take(out.attributes, "type");
  out.destination = take(out.attributes, "dest");
  if (out.type.empty()) throw ValueError("type is required for output");
  return out;
}

Attestation attestation_of(const Value& value) {
  Attestation out;
  out.attributes = texts_of(value);
  out.type = take(out.attributes, "type");
  const std::string disabled = take(out.attributes, "disabled");
  if (!disabled.empty()) out.disabled = parse_flag(disabled, disabled);
  return out;
}

/// An attribute of an object as text; empty if it is not there.
std::string text_of(const Value& object, const std::string& name) {
  if (!object.is_mapping()) throw ValueError("an object is required");
  const auto found = object.entries().find(name);
  if (found == object.entries().end() || found->second.is_null()) return "";
  return hcl::convert(found->second, Type::string()).as_string();
}

SecretEntry secret_of(const Value& value) {
  return {text_of(value, "id"), text_of(value, "src"), text_of(value, "env")};
}

SshEntry ssh_of(const Value& value) {
  SshEntry out{text_of(value, "id"), {}};
  const auto paths = value.entries().find("paths");
  if (paths == value.entries().end() || paths->second.is_null()) return out;
  const Value list = hcl::convert(paths->second, Type::list(Type::string()));
  for (const Value& path : list.items()) out.paths.push_back(path.is_null() ? "" : path.as_string());
  return out;
}

PolicyEntry policy_of(const Value& value) {
  if (!value.is_mapping()) throw ValueError("a policy is a string or an object");
  std::vector<std::string> fields;
  for (const auto& [key, item] : value.entries()) {
    const std::string text = item.is_null() ? "" : hcl::convert(item, Type::string()).as_string();
    if (!text.empty()) fields.push_back(cat(key, "=", text));
  }
  PolicyEntry out;
  for (const std::string& field : fields) {
    const PolicyEntry one = parse_policy(cat("\"", replace_all(field, "\"", "\"\""), "\""));
    out.files.insert(out.files.end(), one.files.begin(), one.files.end());
    out.reset = out.reset || one.reset;
    out.disabled = out.disabled || one.disabled;
    if (one.strict) out.strict = one.strict;
    if (!one.log_level.empty()) out.log_level = one.log_level;
  }
  return out;
}

Value texts(const Attributes& attributes) {
  hcl::ValueMap out;
  for (const auto& [key, text] : attributes) out.emplace(key, Value::string(text));
  return Value::map(Type::string(), std::move(out));
}

template <typename T, typename Convert>
Value list_of(const std::vector<T>& entries, Type element, Convert to) {
  hcl::Values out;
  for (const T& entry : entries) out.push_back(to(entry));
  return Value::list(std::move(element), std::move(out));
}

std::optional<std::string> optional_text(const Value& object, const std::string& name) {
  std::string out = text_of(object, name);
  return out.empty() ? std::nullopt : std::optional(std::move(out));
}

std::optional<std::int64_t> optional_number(const Value& object, const std::string& name) {
  const auto found = object.entries().find(name);
  if (found == object.entries().end() || found->second.is_null()) return std::nullopt;
  const auto number = hcl::convert(found->second, Type::number()).as_number().whole();
  if (!number) throw ValueError(cat(name, " is not a whole number"));
  return number;
}

}  // namespace

std::vector<std::string> csv_values(const std::string& text) {
  try {
    return csv_fields(text, "value");
  } catch (const Error& error) {
    throw ValueError(error.what());
  }
}

bool parse_flag(const std::string& text, const std::string& whole) {
  for (const std::string_view word : {"1", "t", "T", "TRUE", "true", "True"})
    if (text == word) return true;
  for (const std::string_view word : {"0", "f", "F", "FALSE", "false", "False"})
    if (text == word) return false;
  throw ValueError(cat("invalid value ", whole, ", expected true or false"));
}

std::vector<CacheEntry> parse_cache(const std::string& text) {
  std::vector<CacheEntry> out;
  if (text.empty()) return out;
  const auto fields = csv_values(text);
  if (text.find('=') == std::string::npos) {
    for (const std::string& field : fields) out.push_back({"registry", {{"ref", field}}});
    return out;
  }
  CacheEntry entry;
  for (const std::string& field : fields) {
    auto [key, value] = key_value(field);
    key = to_lower(key);
    if (key == "type")
      entry.type = value;
    else
      entry.attributes[key] = value;
  }
  if (entry.type.empty()) throw ValueError(cat("type required for ", go_quote(text)));
  return {entry};
}

OutputEntry parse_output(const std::string& text) {
  const auto fields = csv_values(text);
  OutputEntry out;
  if (fields.size() == 1 && fields[0] == text && !text.starts_with("type=")) {
    out.type = text == "-" ? "tar" : "local";
    out.destination = text;
    return out;
  }
  for (const std::string& field : fields) {
    const auto [key, value] = key_value(field);
    if (key_of(key) == "type")
      out.type = value;
    else if (key_of(key) == "dest")
      out.destination = value;
    else
      out.attributes[key_of(key)] = value;
  }
  if (out.type.empty()) throw ValueError("type is required for output");
  return out;
}

Attestation parse_attestation(const std::string& text) {
  Attestation out;
  for (const std::string& field : csv_values(text)) {
    const auto [key, value] = key_value(field);
    if (key_of(key) == "type")
      out.type = value;
    else if (key_of(key) == "disabled")
      out.disabled = parse_flag(value, field);
    else
      out.attributes[key] = value;
  }
  if (out.type.empty()) throw ValueError("attestation type not specified");
  return out;
}

SecretEntry parse_secret(const std::string& text) {
  SecretEntry out;
  std::string type;
  for (const std::string& field : csv_values(text)) {
    const auto [raw, value] = key_value(field);
    const std::string key = to_lower(raw);
    if (key == "type" && (value == "file" || value == "env"))
      type = value;
    else if (key == "id")
      out.id = value;
    else if (key == "source" || key == "src")
      out.source = value;
    else if (key == "env")
      out.environment = value;
    else
      throw ValueError(key == "type" ? cat("unsupported secret type ", go_quote(value))
                                     : cat("unexpected key ", go_quote(key), " in ", go_quote(field)));
  }
  if (type == "env" && out.environment.empty()) std::swap(out.environment, out.source);
  return out;
}

SshEntry parse_ssh(const std::string& text) {
  const auto equals = text.find('=');
  SshEntry out{text.substr(0, equals), {}};
  if (equals != std::string::npos) out.paths = split(text.substr(equals + 1), ',');
  return out;
}

PolicyEntry parse_policy(const std::string& text) {
  PolicyEntry out;
  for (const std::string& field : csv_values(text)) {
    const auto [raw, value] = key_value(field);
    const std::string key = key_of(raw);
    if (key == "filename" && !value.empty())
      out.files.push_back(value);
    else if (key == "reset")
      out.reset = parse_flag(value, field);
    else if (key == "disabled")
      out.disabled = parse_flag(value, field);
    else if (key == "strict")
      out.strict = parse_flag(value, field);
    else if (key == "log-level")
      out.log_level = value;
    else
      throw ValueError(cat("invalid value ", field));
  }
  return out;
}

std::vector<Attestation> read_attestations(const Value& list) {
  return read_each<Attestation>(list, parse_attestation, attestation_of);
}
std::vector<OutputEntry> read_outputs(const Value& list) {
  return read_each<OutputEntry>(list, parse_output, output_of);
}
std::vector<SecretEntry> read_secrets(const Value& list) {
  return read_each<SecretEntry>(list, parse_secret, secret_of);
}
std::vector<SshEntry> read_ssh(const Value& list) { return read_each<SshEntry>(list, parse_ssh, ssh_of); }
std::vector<PolicyEntry> read_policies(const Value& list) {
  return read_each<PolicyEntry>(list, parse_policy, policy_of);
}

std::vector<CacheEntry> read_caches(const Value& list) {
  std::vector<CacheEntry> out;
  for (const Value& item : elements_of(list)) {
    const auto entries = item.is_string() ? parse_cache(item.as_string()) : std::vector<CacheEntry>{cache_of(item)};
    out.insert(out.end(), entries.begin(), entries.end());
  }
  return out;
}

ResourceLimits read_resources(const Value& object) {
  if (!object.is_mapping()) throw ValueError("an object is required");
  ResourceLimits out;
  out.memory = optional_text(object, "memory");
  out.memory_swap = optional_text(object, "memory-swap");
  out.cpu_shares = optional_number(object, "cpu-shares");
  out.cpu_period = optional_number(object, "cpu-period");
  out.cpu_quota = optional_number(object, "cpu-quota");
  out.cpuset_cpus = optional_text(object, "cpuset-cpus");
  out.cpuset_mems = optional_text(object, "cpuset-mems");
  return out;
}

Value to_value(const std::vector<Attestation>& entries) {
  return list_of(entries, Type::map(Type::string()), [](const Attestation& entry) {
    Attributes all = entry.attributes;
    all["type"] = entry.type;
    if (entry.disabled) all["disabled"] = "true";
    return texts(all);
  });
}

Value to_value(const std::vector<CacheEntry>& entries) {
  return list_of(entries, Type::map(Type::string()), [](const CacheEntry& entry) {
    Attributes all = entry.attributes;
    all["type"] = entry.type;
    return texts(all);
  });
}

Value to_value(const std::vector<OutputEntry>& entries) {
  return list_of(entries, Type::map(Type::string()), [](const OutputEntry& entry) {
    Attributes all = entry.attributes;
    all["type"] = entry.type;
    all["dest"] = entry.destination;
    return texts(all);
  });
}

Value to_value(const std::vector<SecretEntry>& entries) {
  const Type element = Type::object({{"id", Type::string()}, {"src", Type::string()}, {"env", Type::string()}});
  return list_of(entries, element, [](const SecretEntry& entry) {
    return Value::object({{"id", Value::string(entry.id)},
                          {"src", Value::string(entry.source)},
                          {"env", Value::string(entry.environment)}});
  });
}

Value to_value(const std::vector<SshEntry>& entries) {
  const Type element = Type::object({{"id", Type::string()}, {"paths", Type::list(Type::string())}});
  return list_of(entries, element, [](const SshEntry& entry) {
    hcl::Values paths;
    for (const std::string& path : entry.paths) paths.push_back(Value::string(path));
    return Value::object({{"id", Value::string(entry.id)}, {"paths", Value::list(Type::string(), std::move(paths))}});
  });
}

}  // namespace cbuild::bake
