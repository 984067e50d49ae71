// SPDX-License-Identifier: Apache-2.0
// Rules as BuildKit reads them from JSON. Of the rules that allow or deny a source the last one decides; a rule that
// changes it starts over with the result. Wildcards are regular expressions underneath, and their matches can be used
// in the new name. source_redirect.h applies a policy to the sources of a build.
#include "engine/request/source_policy.h"

#include <nlohmann/json.hpp>
#include <regex>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::engine {

namespace {

using PolicyJson = nlohmann::json;

[[noreturn]] void refuse_policy(const std::string& message) {
  throw Error(ErrorCode::input, cat("source policy: ", message));
}

std::string text_of(const PolicyJson& object, const char* key) {
  const auto value = object.find(key);
  if (value == object.end() || value->is_null()) return {};
  if (!value->is_string()) refuse_policy(cat(key, " is not a string"));
  return value->get<std::string>();
}

/// An enumeration by name or number; the first name where it is missing.
std::size_t choice_of(const PolicyJson& object, const char* key, const std::vector<std::string>& names) {
  const auto value = object.find(key);
  if (value == object.end() || value->is_null()) return 0;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (*value == names[i] || *value == static_cast<int>(i)) return i;
  refuse_policy(cat("invalid ", key, " ", value->dump()));
}

std::regex compile(const std::string& expression) {
  try {
    return std::regex(expression);
  } catch (const std::regex_error&) {
    refuse_policy(cat("invalid regular expression '", expression, "'"));
  }
}

std::string wildcard_expression(const std::string& pattern) {
  if (pattern.find("**") != std::string::npos) refuse_policy(cat("invalid wildcard '", pattern, "'"));
  std::string out = "^";
  for (const char c : pattern) {
    if (c == '*') {
      out += "(.*)";
      continue;
    }
    if (std::string_view("\\^$.|?+()[]{}").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out + "$";
}

bool is_name(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/// "$1", "${1}" and "$$" as Go's regexp expands them; a name that is not a number of a group is empty.
std::string expand_groups(const std::string& format, const std::smatch& groups) {
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '$' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    if (format[i + 1] == '$') {
      out += format[++i];
      continue;
    }
    const bool braced = format[i + 1] == '{';
    const std::size_t begin = i + (braced ? 2 : 1);
    std::size_t end = begin;
    while (end < format.size() && is_name(format[end])) ++end;
    if (end == begin || (braced && (end == format.size() || format[end] != '}'))) {
      out += '$';
      continue;
    }
    const auto number = parse_int(format.substr(begin, end - begin));
    if (number && *number >= 0 && static_cast<std::size_t>(*number) < groups.size())
      out += groups.str(static_cast<std::size_t>(*number));
    i = end - (braced ? 0 : 1);
  }
  return out;
}

}  // namespace

struct PolicyReader {
  static SourcePolicy::Rule rule(const PolicyJson& json) {
    SourcePolicy::Rule out;
    const auto selector = json.find("selector");
    if (selector == json.end() || !selector->is_object()) refuse_policy("a rule has no selector");
    out.action = static_cast<SourcePolicy::Action>(choice_of(json, "action", {"ALLOW", "DENY", "CONVERT"}));
    const char* match = selector->contains("matchType") ? "matchType" : "match_type";  // of protobuf, of Go
    out.match = static_cast<SourcePolicy::Match>(choice_of(*selector, match, {"WILDCARD", "EXACT", "REGEX"}));
    out.identifier = text_of(*selector, "identifier");
    if (out.match == SourcePolicy::Match::wildcard) out.expression = wildcard_expression(out.identifier);
    if (out.match == SourcePolicy::Match::regex) out.expression = out.identifier;
    compile(out.expression);
    if (const auto list = selector->find("constraints"); list != selector->end() && list->is_array())
      for (const PolicyJson& entry : *list) out.constraints.push_back(constraint(entry));
    const auto updates = json.find("updates");
    out.has_update = updates != json.end() && updates->is_object();
    if (!out.has_update) {
      if (out.action == SourcePolicy::Action::convert) refuse_policy("a rule that converts has no updates");
      return out;
    }
    out.update.identifier = text_of(*updates, "identifier");
    if (const auto attributes = updates->find("attrs"); attributes != updates->end() && attributes->is_object())
      for (const auto& [key, value] : attributes->items())
        out.update.attributes[key] = text_of(*attributes, key.c_str());
    return out;
  }

  static SourcePolicy::Constraint constraint(const PolicyJson& json) {
    if (!json.is_object()) refuse_policy("a constraint is not an object");
    const auto condition =
        static_cast<SourcePolicy::Condition>(choice_of(json, "condition", {"EQUAL", "NOTEQUAL", "MATCHES"}));
    if (condition == SourcePolicy::Condition::matches) compile(text_of(json, "value"));
    return {text_of(json, "key"), text_of(json, "value"), condition};
  }
};

SourcePolicy SourcePolicy::parse(std::string_view json) {
  const PolicyJson document = PolicyJson::parse(json, nullptr, false);
  if (!document.is_object()) refuse_policy("it is not a JSON object");
  SourcePolicy policy;
  const auto rules = document.find("rules");
  if (rules == document.end() || rules->is_null()) return policy;
  if (!rules->is_array()) refuse_policy("rules is not a list");
  for (const PolicyJson& rule : *rules) policy.rules_.push_back(PolicyReader::rule(rule));
  return policy;
}

bool SourcePolicy::matches(const Rule& rule, const PolicySource& source) {
  for (const Constraint& constraint : rule.constraints) {
    const auto found = source.attributes.find(constraint.key);
    const std::string value = found == source.attributes.end() ? std::string() : found->second;
    if (constraint.condition == Condition::equal && value != constraint.value) return false;
    if (constraint.condition == Condition::not_equal && value == constraint.value) return false;
    if (constraint.condition == Condition::matches && !std::regex_search(value, compile(constraint.value)))
      return false;
  }
  if (rule.identifier == source.identifier) return true;
  return rule.match != Match::exact && std::regex_search(source.identifier, compile(rule.expression));
}

/// False when the rule leaves the source as it is.
bool SourcePolicy::convert(const Rule& rule, PolicySource& source) {
  const PolicySource before = source;
  const std::string format = rule.update.identifier.empty() ? rule.identifier : rule.update.identifier;
  std::string target = format;
  if (rule.match != Match::exact) {
    const std::regex expression = compile(rule.expression);
    const std::string identifier = source.identifier;
    target.clear();
    std::string rest = identifier;
    for (std::sregex_iterator at(identifier.begin(), identifier.end(), expression), end; at != end; ++at) {
      target += cat(at->prefix().str(), expand_groups(format, *at));
      rest = at->suffix().str();
    }
    target += rest;
  }
  if (!target.empty()) source.identifier = target;
  for (const auto& [key, value] : rule.update.attributes) source.attributes[key] = value;
  return source != before;
}

bool SourcePolicy::apply_once(PolicySource& source) const {
  bool denied = false;
  for (const Rule& rule : rules_) {
    if (!matches(rule, source)) continue;
    if (rule.action != Action::convert)
      denied = rule.action == Action::deny;
    else if (convert(rule, source))
      return true;
  }
  if (denied)
    throw Error(ErrorCode::denied, cat("source ", go_quote(source.identifier), " is denied by the source policy"));
  return false;
}

PolicySource SourcePolicy::apply(PolicySource source) const {
  constexpr int kMost = 20;
  constexpr std::size_t kLongest = 4096;  // std::regex takes stack for each byte
  for (int i = 0; i <= kMost; ++i) {
    if (source.identifier.size() > kLongest) refuse_policy("a source has more than 4096 bytes");
    if (!apply_once(source)) return source;
  }
  refuse_policy(cat("it converts ", go_quote(source.identifier), " without end"));
}

}  // namespace cbuild::engine
