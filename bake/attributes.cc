// SPDX-License-Identifier: Apache-2.0
// The attributes of a target, one row each in a table: how its text or value is read, and how two of them are merged.
#include "bake/attributes.h"

#include <algorithm>
#include <array>

#include "bake/entries.h"
#include "bake/hcl/convert.h"
#include "base/text.h"

namespace cbuild::bake {
namespace {

using hcl::Type;
using hcl::Value;
using hcl::ValueError;

const Type& strings_type() {
  static const Type kType = Type::list(Type::string());
  return kType;
}
const Type& settings_type() {
  static const Type kType = Type::map(Type::string());
  return kType;
}

Strings to_strings(const Value& list) {
  Strings out;
  for (const Value& item : list.items()) {
    if (item.is_null()) throw ValueError("an element of the list is null");
    out.push_back(item.as_string());
  }
  return out;
}

Settings to_settings(const Value& map) {
  Settings out;
  for (const auto& [name, item] : map.entries())
    out.emplace(name, item.is_null() ? std::nullopt : std::optional(item.as_string()));
  return out;
}

using Setter = Value (*)(Target&, const Value&);

template <std::optional<std::string> Target::*kMember>
Value set_text(Target& target, const Value& value) {
  const Value text = hcl::convert(value, Type::string());
  if (!text.is_null()) target.*kMember = text.as_string();
  return text;
}

template <std::optional<bool> Target::*kMember>
Value set_flag(Target& target, const Value& value) {
  const Value flag = hcl::convert(value, Type::boolean());
  if (!flag.is_null()) target.*kMember = flag.as_bool();
  return flag;
}

template <std::optional<Strings> Target::*kMember>
Value set_strings(Target& target, const Value& value) {
  const Value list = hcl::convert(value, strings_type());
  if (!list.is_null()) target.*kMember = to_strings(list);
  return list;
}

template <Settings Target::*kMember>
Value set_settings(Target& target, const Value& value) {
  const Value map = hcl::convert(value, settings_type());
  if (!map.is_null()) target.*kMember = to_settings(map);
  return map;
}

template <auto kMember, auto kRead>
Value set_entries(Target& target, const Value& value) {
  if (value.is_null()) return value;
  target.*kMember = kRead(value);
  return to_value(*(target.*kMember));
}

Value set_description(Target& target, const Value& value) {
  const Value text = hcl::convert(value, Type::string());
  if (text.is_null()) throw ValueError("description is null");
  target.description = text.as_string();
  return text;
}

Value set_inherits(Target& target, const Value& value) {
  const Value list = hcl::convert(value, strings_type());
  if (!list.is_null()) target.inherits = to_strings(list);
  return list;
}

Value set_contexts(Target& target, const Value& value) {
  const Value map = hcl::convert(value, settings_type());
  if (map.is_null()) return map;
  for (const auto& [name, path] : map.entries()) {
    if (path.is_null()) throw ValueError(cat("context ", go_quote(name), " is null"));
    target.contexts[name] = path.as_string();
  }
  return map;
}

Value set_policy(Target& target, const Value& value) {
  if (!value.is_null()) target.policy = read_policies(value);
  return value;
}

Value set_resources(Target& target, const Value& value) {
  if (!value.is_null()) target.resources = read_resources(value);
  return value;
}

struct Row {
  std::string_view name;
  Setter set;
  enum class Kind { text, flag, strings, settings, entries, object } kind;
};

using Kind = Row::Kind;
constexpr std::array kRows = {
    Row{"annotations", set_strings<&Target::annotations>, Kind::strings},
    Row{"args", set_settings<&Target::args>, Kind::settings},
    Row{"attest", set_entries<&Target::attest, read_attestations>, Kind::entries},
    Row{"cache-from", set_entries<&Target::cache_from, read_caches>, Kind::entries},
    Row{"cache-to", set_entries<&Target::cache_to, read_caches>, Kind::entries},
    Row{"call", set_text<&Target::call>, Kind::text},
    Row{"context", set_text<&Target::context>, Kind::text},
    Row{"contexts", set_contexts, Kind::settings},
    Row{"description", set_description, Kind::text},
    Row{"dockerfile", set_text<&Target::dockerfile>, Kind::text},
    Row{"dockerfile-inline", set_text<&Target::dockerfile_inline>, Kind::text},
    Row{"entitlements", set_strings<&Target::entitlements>, Kind::strings},
    Row{"extra-hosts", set_settings<&Target::extra_hosts>, Kind::settings},
    Row{"inherits", set_inherits, Kind::strings},
    Row{"labels", set_settings<&Target::labels>, Kind::settings},
    Row{"network", set_text<&Target::network>, Kind::text},
    Row{"no-cache", set_flag<&Target::no_cache>, Kind::flag},
    Row{"no-cache-filter", set_strings<&Target::no_cache_filter>, Kind::strings},
    Row{"output", set_entries<&Target::outputs, read_outputs>, Kind::entries},
    Row{"platforms", set_strings<&Target::platforms>, Kind::strings},
    Row{"policy", set_policy, Kind::object},
    Row{"pull", set_flag<&Target::pull>, Kind::flag},
    Row{"resources", set_resources, Kind::object},
    Row{"secret", set_entries<&Target::secrets, read_secrets>, Kind::entries},
    Row{"shm-size", set_text<&Target::shm_size>, Kind::text},
    Row{"ssh", set_entries<&Target::ssh, read_ssh>, Kind::entries},
    Row{"tags", set_strings<&Target::tags>, Kind::strings},
    Row{"target", set_text<&Target::stage>, Kind::text},
    Row{"ulimits", set_strings<&Target::ulimits>, Kind::strings},
};

const Row* find_row(std::string_view name) {
  const auto found = std::find_if(kRows.begin(), kRows.end(), [&](const Row& row) { return row.name == name; });
  return found == kRows.end() ? nullptr : &*found;
}

}  // namespace

bool is_target_attribute(std::string_view name) { return find_row(name) != nullptr; }

Value set_attribute(Target& target, const std::string& name, const Value& value) {
  return find_row(name)->set(target, value);
}

Value unset_attribute(const std::string& name) {
  switch (find_row(name)->kind) {
    case Kind::text:
      return name == "description" ? Value::string("") : Value::null(Type::string());
    case Kind::flag:
      return Value::null(Type::boolean());
    case Kind::strings:
      return Value::null(strings_type());
    case Kind::settings:
      return Value::null(settings_type());
    case Kind::entries:
      return Value::list(Type::map(Type::string()), {});
    case Kind::object:
      break;
  }
  return Value();
}

}  // namespace cbuild::bake
