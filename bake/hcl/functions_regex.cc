// SPDX-License-Identifier: Apache-2.0
// Regular expressions in RE2's syntax, matched by Boost.Regex, which finds the same leftmost match but also takes
// patterns that RE2 does not: those are refused first. A pattern that takes too many steps fails instead of running on.
#include <algorithm>
#include <boost/regex.hpp>

#include "bake/hcl/functions.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

struct Pattern {
  boost::regex regex;
  std::vector<std::string> names;  ///< of the groups that count; empty for those without one
};

[[noreturn]] void refuse_pattern(const std::string& pattern, std::string_view why) {
  throw ValueError(cat("invalid pattern ", go_quote(pattern), ": ", why));
}

/// At "(?": the group's name, or nothing for one that does not count. Rewrites "(?P<" as Boost has it.
void read_group(const std::string& pattern, std::size_t& pos, std::string& out, std::vector<std::string>& names) {
  const std::string_view rest = std::string_view(pattern).substr(pos);
  if (rest.starts_with("(?P<") || (rest.starts_with("(?<") && !rest.starts_with("(?<=") && !rest.starts_with("(?<!"))) {
    const std::size_t begin = rest.find('<') + 1, end = rest.find('>');
    if (end == std::string_view::npos) refuse_pattern(pattern, "name of a group is not closed");
    names.emplace_back(rest.substr(begin, end - begin));
    out += cat("(?<", names.back(), ">");
    pos += end + 1;
    return;
  }
  if (rest.size() < 3 || std::string_view("imsU-:").find(rest[2]) == std::string_view::npos)
    refuse_pattern(pattern, "unknown kind of group");
  out += "(?";
  pos += 2;
}

void copy_escape(const std::string& pattern, std::size_t& pos, std::string& out) {
  if (pos + 1 >= pattern.size()) refuse_pattern(pattern, "backslash at the end");
  const char c = pattern[pos + 1];
  if (c >= '1' && c <= '9') refuse_pattern(pattern, "references to groups are not supported");
  out += pattern.substr(pos, 2);
  pos += 2;
}

Pattern compile(const std::string& pattern) {
  if (pattern.size() > 4096) throw ValueError("pattern is longer than 4096 characters");
  Pattern out;
  std::string text;
  bool in_class = false;
  for (std::size_t pos = 0; pos < pattern.size();) {
    const char c = pattern[pos];
    if (c == '\\') {
      copy_escape(pattern, pos, text);
      continue;
    }
    if (!in_class && c == '(' && pattern.compare(pos, 2, "(?") == 0) {
      read_group(pattern, pos, text, out.names);
      continue;
    }
    if (!in_class && c == '(') out.names.emplace_back();
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    text += c;
    ++pos;
  }
  try {
    out.regex.assign(text, boost::regex::perl | boost::regex::no_mod_s | boost::regex::no_mod_m);
  } catch (const boost::regex_error& error) {
    refuse_pattern(pattern, error.what());
  }
  const auto named = std::count_if(out.names.begin(), out.names.end(), [](const auto& name) { return !name.empty(); });
  if (named != 0 && named != static_cast<std::ptrdiff_t>(out.names.size()))
    refuse_pattern(pattern, "groups with and without names are mixed");
  return out;
}

Value group_value(const boost::smatch& match, std::size_t group) {
  const auto& part = match[static_cast<int>(group)];
  return part.matched ? Value::string(part.str()) : Value::null(Type::string());
}

/// The whole match, or its groups.
Value match_value(const Pattern& pattern, const boost::smatch& match) {
  if (pattern.names.empty()) return Value::string(match.str());
  Values items;
  ValueMap named;
  for (std::size_t i = 0; i < pattern.names.size(); ++i) {
    if (pattern.names[i].empty())
      items.push_back(group_value(match, i + 1));
    else
      named.insert_or_assign(pattern.names[i], group_value(match, i + 1));
  }
  return named.empty() ? Value::tuple(std::move(items)) : Value::object(std::move(named));
}

/// Calls `visit(match)` for each match, as long as it says true.
template <typename Visit>
void each_match(const Pattern& pattern, const std::string& text, Visit visit) {
  try {
    const boost::sregex_iterator end;
    for (boost::sregex_iterator match(text.begin(), text.end(), pattern.regex); match != end; ++match)
      if (!visit(*match)) return;
  } catch (const std::runtime_error&) {
    throw ValueError("pattern takes too many steps to match");
  }
}

Value regex(const Values& arguments) {
  const Pattern pattern = compile(arguments[0].as_string());
  std::optional<Value> out;
  each_match(pattern, arguments[1].as_string(), [&](const boost::smatch& match) {
    out = match_value(pattern, match);
    return false;
  });
  if (!out) throw ValueError("pattern does not match any part of the string");
  return *out;
}

Value regex_all(const Values& arguments) {
  const Pattern pattern = compile(arguments[0].as_string());
  Values out;
  each_match(pattern, arguments[1].as_string(), [&](const boost::smatch& match) {
    out.push_back(match_value(pattern, match));
    return true;
  });
  Type element;
  out = convert_alike(out, element);
  return Value::list(element.is_dynamic() ? Type::string() : element, std::move(out));
}

bool is_word(char c) { return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string group_text(const Pattern& pattern, const boost::smatch& match, const std::string& name) {
  if (const auto number = parse_int(name); number && *number >= 0)
    return *number <= static_cast<std::int64_t>(pattern.names.size()) ? match[static_cast<int>(*number)].str() : "";
  for (std::size_t i = 0; i < pattern.names.size(); ++i)
    if (pattern.names[i] == name) return match[static_cast<int>(i + 1)].str();
  return "";
}

/// Go's expansion: "$NAME" with the longest name, "${NAME}" and "$$".
std::string expanded(const Pattern& pattern, const boost::smatch& match, const std::string& replacement) {
  std::string out;
  for (std::size_t pos = 0; pos < replacement.size();) {
    if (replacement[pos] != '$' || pos + 1 == replacement.size()) {
      out += replacement[pos++];
      continue;
    }
    if (replacement[pos + 1] == '$') {
      out += '$';
      pos += 2;
      continue;
    }
    const bool braces = replacement[pos + 1] == '{';
    std::size_t end = pos + 1 + (braces ? 1 : 0);
    const std::size_t begin = end;
    while (end < replacement.size() && is_word(replacement[end])) ++end;
    if (end == begin || (braces && (end == replacement.size() || replacement[end] != '}'))) {
      out += replacement[pos++];
      continue;
    }
    out += group_text(pattern, match, replacement.substr(begin, end - begin));
    pos = end + (braces ? 1 : 0);
  }
  return out;
}

Value regex_replace(const Values& arguments) {
  const std::string& text = arguments[0].as_string();
  const Pattern pattern = compile(arguments[1].as_string());
  std::string out;
  auto last = text.begin();
  each_match(pattern, text, [&](const boost::smatch& match) {
    out.append(last, match[0].first);
    out += expanded(pattern, match, arguments[2].as_string());
    last = match[0].second;
    if (out.size() > (16 << 20)) throw ValueError("result is larger than 16 MB");
    return true;
  });
  out.append(last, text.end());
  return Value::string(std::move(out));
}

constexpr Function kRegexFunctions[] = {
    {"regex", "ss", regex},
    {"regex_replace", "sss", regex_replace},
    {"regexall", "ss", regex_all},
};

}  // namespace

std::span<const Function> regex_functions() { return kRegexFunctions; }

}  // namespace cbuild::bake::hcl
