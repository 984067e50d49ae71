// SPDX-License-Identifier: Apache-2.0
// semvercmp: whether a version is within a range such as ">= 1.2, < 2 || ^3". Parts that a range leaves out ("1.2",
// "1.x") stand for any number there, which makes it a range of its own. A version with a pre-release is only within
// ranges that name one.
#include <algorithm>
#include <array>
#include <compare>

#include "bake/hcl/functions.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

struct Version {
  std::array<std::int64_t, 3> numbers{};
  std::string pre;
  std::size_t given = 0;  ///< numbers that are not left out
};

[[noreturn]] void refuse_version(std::string_view text) { throw ValueError(cat(go_quote(text), " is not a version")); }

bool is_any(std::string_view part) { return part == "x" || part == "X" || part == "*"; }

Version parse_version(std::string_view text, bool range) {
  const std::string_view whole = text;
  Version out;
  if (text.starts_with('v')) text.remove_prefix(1);
  text = text.substr(0, text.find('+'));
  if (const auto dash = text.find('-'); dash != std::string_view::npos) {
    out.pre = text.substr(dash + 1);
    text = text.substr(0, dash);
    if (out.pre.empty()) refuse_version(whole);
  }
  const auto parts = split(text, '.');
  if (parts.size() > 3) refuse_version(whole);
  for (const std::string& part : parts) {
    if (range && is_any(part)) break;
    const auto number = parse_int(part);
    if (!number || *number < 0 || part.starts_with('+')) refuse_version(whole);
    out.numbers[out.given++] = *number;
  }
  return out;
}

int compare_identifiers(const std::string& a, const std::string& b) {
  const auto x = parse_int(a), y = parse_int(b);
  if (x && y) return *x < *y ? -1 : *x > *y ? 1 : 0;
  if (x || y) return x ? -1 : 1;  // numbers come before words
  return a.compare(b);
}

int compare_pre(const std::string& a, const std::string& b) {
  if (a == b) return 0;
  if (a.empty() || b.empty()) return a.empty() ? 1 : -1;
  const auto x = split(a, '.'), y = split(b, '.');
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    if (const int order = compare_identifiers(x[i], y[i])) return order;
  return x.size() < y.size() ? -1 : 1;
}

int compare_versions(const Version& a, const Version& b) {
  if (a.numbers != b.numbers) return a.numbers < b.numbers ? -1 : 1;
  return compare_pre(a.pre, b.pre);
}

/// Whether the first numbers are equal, as many as the range gives.
bool same_given(const Version& version, const Version& range) {
  return std::equal(range.numbers.begin(), range.numbers.begin() + static_cast<std::ptrdiff_t>(range.given),
                    version.numbers.begin());
}

bool within_tilde(const Version& version, const Version& range) {
  if (compare_versions(version, range) < 0) return false;
  const bool zero = range.given == 0 || (range.given == 3 && range.numbers == std::array<std::int64_t, 3>{});
  if (zero) return true;
  return version.numbers[0] == range.numbers[0] && (range.given < 2 || version.numbers[1] == range.numbers[1]);
}

/// The first number that is not zero stays.
bool within_caret(const Version& version, const Version& range) {
  if (compare_versions(version, range) < 0) return false;
  if (range.given == 0) return true;
  if (version.numbers[0] != range.numbers[0]) return false;
  if (range.numbers[0] > 0 || range.given < 2) return true;
  if (version.numbers[1] != range.numbers[1]) return false;
  return range.numbers[1] > 0 || range.given < 3 || version.numbers[2] == range.numbers[2];
}

bool above(const Version& version, const Version& range) {
  return compare_versions(version, range) > 0 && (range.given == 3 || !same_given(version, range));
}

bool holds(std::string_view comparison, const Version& version, const Version& range) {
  if (comparison == "!=") return range.given < 3 ? !same_given(version, range) : compare_versions(version, range) != 0;
  if (comparison == ">") return above(version, range);
  if (comparison == "<") return compare_versions(version, range) < 0;
  if (comparison == ">=" || comparison == "=>") return compare_versions(version, range) >= 0;
  if (comparison == "<=" || comparison == "=<") return !above(version, range);
  if (comparison == "~" || comparison == "~>") return within_tilde(version, range);
  if (comparison == "^") return within_caret(version, range);
  return range.given < 3 ? within_tilde(version, range) : compare_versions(version, range) == 0;
}

struct Constraint {
  std::string comparison;
  Version range;
};

/// "A - B" is ">=A <=B"; blanks between a comparison and its version do not count.
std::vector<Constraint> parse_group(std::string text) {
  std::vector<Constraint> out;
  if (const auto dash = text.find(" - "); dash != std::string::npos) {
    out.push_back({">=", parse_version(trim(text.substr(0, dash)), true)});
    out.push_back({"<=", parse_version(trim(text.substr(dash + 3)), true)});
    return out;
  }
  std::replace(text.begin(), text.end(), ',', ' ');
  for (std::size_t pos = text.find_first_not_of(' '); pos < text.size(); pos = text.find_first_not_of(' ', pos)) {
    const std::size_t comparison_end = std::min(text.find_first_not_of("=!<>~^", pos), text.size());
    const std::size_t begin = std::min(text.find_first_not_of(' ', comparison_end), text.size());
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    if (begin == end) refuse_version(text);
    out.push_back({text.substr(pos, comparison_end - pos), parse_version(text.substr(begin, end - begin), true)});
    pos = end;
  }
  if (out.empty()) throw ValueError("range of versions is empty");
  return out;
}

bool group_holds(const std::vector<Constraint>& group, const Version& version) {
  const bool names_pre =
      std::any_of(group.begin(), group.end(), [](const Constraint& one) { return !one.range.pre.empty(); });
  if (!version.pre.empty() && !names_pre) return false;
  return std::all_of(group.begin(), group.end(),
                     [&](const Constraint& one) { return holds(one.comparison, version, one.range); });
}

Value compare_semantic(const Values& arguments) {
  const Version version = parse_version(arguments[0].as_string(), false);
  std::string_view rest = arguments[1].as_string();
  bool out = false;
  while (true) {
    const auto bar = rest.find("||");
    const auto group = parse_group(std::string(rest.substr(0, bar)));
    out = out || group_holds(group, version);
    if (bar == std::string_view::npos) return Value::boolean(out);
    rest = rest.substr(bar + 2);
  }
}

constexpr Function kVersionFunctions[] = {{"semvercmp", "ss", compare_semantic}};

}  // namespace

std::span<const Function> version_functions() { return kVersionFunctions; }

}  // namespace cbuild::bake::hcl
