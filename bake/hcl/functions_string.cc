// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "bake/hcl/format.h"
#include "bake/hcl/functions.h"
#include "bake/hcl/letters.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

const std::string& text_at(const Values& arguments, std::size_t at) { return arguments[at].as_string(); }

Value text(std::string_view value) { return Value::string(std::string(value)); }

Value in_upper_case(const Values& arguments) { return text(upper_case(text_at(arguments, 0))); }
Value in_lower_case(const Values& arguments) { return text(lower_case(text_at(arguments, 0))); }
Value title(const Values& arguments) { return text(title_case(text_at(arguments, 0))); }
Value base(const Values& arguments) {
  if (text_at(arguments, 0).empty()) return text(".");
  return text(base_name(text_at(arguments, 0)));
}

/// Go's path.Dir: what stands before the last slash, cleaned.
Value directory(const Values& arguments) {
  const std::string& path = text_at(arguments, 0);
  const auto slash = path.rfind('/');
  return text(clean_path(slash == std::string::npos ? std::string() : path.substr(0, slash + 1)));
}

Value reverse(const Values& arguments) {
  std::string out;
  const auto parts = characters(text_at(arguments, 0));
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) out += *part;
  return text(out);
}

Value character_count(const Values& arguments) {
  return Value::number(static_cast<std::int64_t>(characters(text_at(arguments, 0)).size()));
}

/// A negative offset counts from the end, a negative length goes to the end.
Value substring(const Values& arguments) {
  const auto parts = characters(text_at(arguments, 0));
  const std::int64_t count = static_cast<std::int64_t>(parts.size());
  std::int64_t begin = whole_at(arguments, 1), length = whole_at(arguments, 2);
  if (begin < 0) begin += count;
  begin = std::clamp<std::int64_t>(begin, 0, count);
  const std::int64_t end = length < 0 || length > count - begin ? count : begin + length;
  std::string out;
  for (std::int64_t i = begin; i < end; ++i) out += parts[static_cast<std::size_t>(i)];
  return text(out);
}

Value chomp(const Values& arguments) {
  std::string out = text_at(arguments, 0);
  while (out.ends_with('\n') || out.ends_with('\r')) out.pop_back();
  return text(out);
}

Value indent(const Values& arguments) {
  const std::int64_t blanks = whole_at(arguments, 0);
  if (blanks < 0 || blanks > 4096) throw ValueError("indentation is not between 0 and 4096");
  return text(replace_all(text_at(arguments, 1), "\n", "\n" + std::string(static_cast<std::size_t>(blanks), ' ')));
}

Value join_lists(const Values& arguments) {
  std::string out;
  bool first = true;
  if (arguments.size() < 2) throw ValueError("at least one list is needed");
  for (std::size_t i = 1; i < arguments.size(); ++i)
    for (const Value& item : arguments[i].items()) {
      if (item.is_null()) throw ValueError("an element of the list is null");
      if (!std::exchange(first, false)) out += text_at(arguments, 0);
      out += item.as_string();
    }
  return text(out);
}

Value split_text(const Values& arguments) {
  const std::string &separator = text_at(arguments, 0), &whole = text_at(arguments, 1);
  std::vector<std::string> out;
  if (separator.empty()) {
    for (const auto part : characters(whole)) out.emplace_back(part);
    return strings(out);
  }
  std::size_t begin = 0;
  for (auto at = whole.find(separator); at != std::string::npos; at = whole.find(separator, begin)) {
    out.push_back(whole.substr(begin, at - begin));
    begin = at + separator.size();
  }
  out.push_back(whole.substr(begin));
  return strings(out);
}

Value sorted(const Values& arguments) {
  std::vector<std::string> out;
  for (const Value& item : arguments[0].items()) {
    if (item.is_null()) throw ValueError("an element of the list is null");
    out.push_back(item.as_string());
  }
  std::sort(out.begin(), out.end());
  return strings(out);
}

std::string trimmed(const std::string& value, auto is_cut) {
  const auto parts = characters(value);
  std::size_t begin = 0, end = parts.size();
  while (begin < end && is_cut(parts[begin])) ++begin;
  while (end > begin && is_cut(parts[end - 1])) --end;
  std::string out;
  for (std::size_t i = begin; i < end; ++i) out += parts[i];
  return out;
}

Value trim_set(const Values& arguments) {
  const auto cut = characters(text_at(arguments, 1));
  return text(trimmed(text_at(arguments, 0),
                      [&](std::string_view part) { return std::find(cut.begin(), cut.end(), part) != cut.end(); }));
}
Value trim_blanks(const Values& arguments) { return text(trimmed(text_at(arguments, 0), is_blank)); }

Value trim_prefix(const Values& arguments) {
  std::string_view out = text_at(arguments, 0);
  if (out.starts_with(text_at(arguments, 1))) out.remove_prefix(text_at(arguments, 1).size());
  return text(out);
}
Value trim_suffix(const Values& arguments) {
  std::string_view out = text_at(arguments, 0);
  if (out.ends_with(text_at(arguments, 1))) out.remove_suffix(text_at(arguments, 1).size());
  return text(out);
}

/// As Go does it, an empty text stands before each character and at the end.
Value replace_text(const Values& arguments) {
  const std::string &from = text_at(arguments, 1), &to = text_at(arguments, 2);
  if (!from.empty()) return text(replace_all(text_at(arguments, 0), from, to));
  std::string out = to;
  for (const auto part : characters(text_at(arguments, 0))) (out += part) += to;
  return text(out);
}

Value sanitize(const Values& arguments) {
  std::string out;
  for (std::string_view rest = text_at(arguments, 0); !rest.empty();) {
    const auto c = static_cast<unsigned char>(rest.front());
    const bool kept = std::isalnum(c) != 0 || c == '_' || c == '-';
    out += kept && c < 0x80 ? static_cast<char>(c) : '_';
    rest.remove_prefix(c < 0x80 ? 1 : characters(rest.substr(0, 4)).front().size());
  }
  return text(out);
}

Value home(const Values&) {
  const char* path = std::getenv("HOME");
  return text(path && *path ? path : "/");
}

Value format_text(const Values& arguments) {
  return text(format(text_at(arguments, 0), std::span(arguments).subspan(1)));
}

/// The arguments of one round: of lists the element, of all others themselves.
Values round_arguments(const Values& arguments, std::size_t round) {
  Values out;
  for (std::size_t i = 1; i < arguments.size(); ++i)
    out.push_back(arguments[i].is_sequence() ? arguments[i].items()[round] : arguments[i]);
  return out;
}

Value format_list(const Values& arguments) {
  std::optional<std::size_t> rounds;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (!arguments[i].is_sequence()) continue;
    if (rounds && *rounds != arguments[i].items().size()) throw ValueError("lists are not of the same length");
    rounds = arguments[i].items().size();
  }
  std::vector<std::string> out;
  for (std::size_t round = 0; round < rounds.value_or(1); ++round)
    out.push_back(format(text_at(arguments, 0), round_arguments(arguments, round)));
  return strings(out);
}

constexpr Function kStringFunctions[] = {
    {"basename", "s", base},
    {"chomp", "s", chomp},
    {"dirname", "s", directory},
    {"format", "sd?*", format_text},
    {"formatlist", "sd?*", format_list},
    {"homedir", "", home},
    {"indent", "ns", indent},
    {"join", "sl*", join_lists},
    {"lower", "s", in_lower_case},
    {"replace", "sss", replace_text},
    {"reverse", "s", reverse},
    {"sanitize", "s", sanitize},
    {"sort", "l", sorted},
    {"split", "ss", split_text},
    {"strlen", "s", character_count},
    {"substr", "snn", substring},
    {"title", "s", title},
    {"trim", "ss", trim_set},
    {"trimprefix", "ss", trim_prefix},
    {"trimspace", "s", trim_blanks},
    {"trimsuffix", "ss", trim_suffix},
    {"upper", "s", in_upper_case},
};

}  // namespace

std::span<const Function> string_functions() { return kStringFunctions; }

}  // namespace cbuild::bake::hcl
