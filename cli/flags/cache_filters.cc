// SPDX-License-Identifier: Apache-2.0
// The --filter of `du` and `prune`: each text becomes a predicate over the items of the store, and all of them must
// hold. Keys, comparisons and names of types are those of docker's commands, in addition to our own types.
#include "cli/flags/cache_filters.h"

#include <algorithm>
#include <regex>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

using cache::Usage;
using Condition = std::function<bool(const Usage::Item&)>;

struct FilterText {
  std::string key, comparison, value;
};

FilterText split_filter(const std::string& text) {
  for (const char* comparison : {"!=", "~=", "!~", "==", "="}) {
    const std::size_t at = text.find(comparison);
    if (at == std::string::npos || at == 0) continue;
    // The first comparison in the text is the one that counts: a value may hold others.
    const std::size_t first = text.find_first_of("=~!");
    if (at != first) continue;
    return {text.substr(0, at), comparison, text.substr(at + std::string_view(comparison).size())};
  }
  return {text, "", ""};
}

[[noreturn]] void bad_filter(const std::string& text, const std::string& why) {
  throw Error(ErrorCode::usage, cat("--filter '", text, "': ", why))
      .with_hint("keys: id, type, description, parents, inuse, mutable, immutable, shared, private, until");
}

std::function<bool(const std::string&)> text_test(const FilterText& filter, const std::string& text, bool prefix) {
  if (filter.comparison == "~=" || filter.comparison == "!~") {
    const bool wanted = filter.comparison == "~=";
    try {
      return [wanted, pattern = std::regex(filter.value)](const std::string& value) {
        return std::regex_search(value, pattern) == wanted;
      };
    } catch (const std::regex_error&) {
      bad_filter(text, "not a regular expression");
    }
  }
  if (filter.comparison.empty()) bad_filter(text, "a value is missing");
  const bool wanted = filter.comparison != "!=";
  return [wanted, prefix, expected = filter.value](const std::string& value) {
    return (value == expected || (prefix && expected.size() >= 4 && value.starts_with(expected))) == wanted;
  };
}

bool flag_value(const FilterText& filter, const std::string& text) {
  bool value = true;
  if (!filter.comparison.empty()) {
    if (filter.value == "true" || filter.value == "1")
      value = true;
    else if (filter.value == "false" || filter.value == "0")
      value = false;
    else
      bad_filter(text, "true or false");
  }
  return (filter.comparison == "!=") != value;
}

Condition type_condition(const FilterText& filter, const std::string& text) {
  const auto test = text_test(filter, text, false);
  const bool negated = filter.comparison.starts_with('!');
  return [test, negated](const Usage::Item& item) {
    const bool own = test(item.kind), theirs = test(reference_type(item));
    return negated ? own && theirs : own || theirs;
  };
}

Condition make_condition(const FilterText& filter, const std::string& text) {
  if (filter.key == "id") return [test = text_test(filter, text, true)](const Usage::Item& i) { return test(i.id); };
  if (filter.key == "description")
    return [test = text_test(filter, text, false)](const Usage::Item& i) { return test(i.description); };
  if (filter.key == "parents")
    return [test = text_test(filter, text, true)](const Usage::Item& i) { return test(i.parent); };
  if (filter.key == "type") return type_condition(filter, text);
  const bool wanted = flag_value(filter, text);
  if (filter.key == "inuse") return [wanted](const Usage::Item& i) { return i.in_use == wanted; };
  if (filter.key == "mutable") return [wanted](const Usage::Item& i) { return i.is_mutable() == wanted; };
  if (filter.key == "immutable") return [wanted](const Usage::Item& i) { return i.is_mutable() != wanted; };
  if (filter.key == "shared") return [wanted](const Usage::Item& i) { return i.shared == wanted; };
  if (filter.key == "private") return [wanted](const Usage::Item& i) { return i.shared != wanted; };
  bad_filter(text, cat("unknown key '", filter.key, "'"));
}

std::optional<std::int64_t> parse_days(const std::string& text) {
  if (!text.ends_with('d')) return std::nullopt;
  const auto days = parse_int(text.substr(0, text.size() - 1));
  if (!days || *days < 0 || *days > 36'500) return std::nullopt;
  return *days * 86'400 * 1'000'000'000;
}

}  // namespace

CacheFilters parse_cache_filters(const std::vector<std::string>& texts) {
  CacheFilters out;
  std::vector<Condition> conditions;
  for (const std::string& text : texts) {
    const FilterText filter = split_filter(text);
    if (filter.key == "until" || filter.key == "unused-for") {
      if (filter.comparison != "=") bad_filter(text, "until=AGE, for example until=24h");
      out.unused_for_ns = parse_age("--filter until", filter.value);
      continue;
    }
    out.by_type |= filter.key == "type";
    conditions.push_back(make_condition(filter, text));
  }
  if (conditions.empty()) return out;
  out.matches = [conditions](const Usage::Item& item) {
    return std::all_of(conditions.begin(), conditions.end(), [&](const Condition& holds) { return holds(item); });
  };
  return out;
}

std::int64_t parse_age(const std::string& flag, const std::string& text) {
  if (const auto days = parse_days(text)) return *days;
  if (const auto duration = parse_duration_ns(text); duration && *duration >= 0) return *duration;
  const bool only_day = text.size() == 10 && text.find('T') == std::string::npos;
  if (const auto point = parse_rfc3339_ns(only_day ? text + "T00:00:00Z" : text))
    return std::max<std::int64_t>(sys::now_ns() - *point, 0);
  throw Error(ErrorCode::usage, cat(flag, ": invalid age '", text, "'")).with_hint("for example 24h, 7d or 2026-01-31");
}

std::string reference_type(const Usage::Item& item) {
  if (item.kind == "cachemount") return "exec.cachemount";
  if (item.kind == "scan") return "source.local";
  return item.kind == "layer" || item.kind == "blob" ? "regular" : "internal";
}

}  // namespace cbuild::cli
