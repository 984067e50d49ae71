// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <chrono>
#include <ctime>

#include "bake/hcl/functions.h"
#include "base/text.h"

namespace cbuild::bake::hcl {
namespace {

/// A moment and the offset of the zone that it is written in.
struct Moment {
  std::int64_t seconds = 0;  ///< since 1970, UTC
  std::int64_t offset = 0;   ///< seconds east of UTC
};

/// The calendar of a moment in its zone.
struct Calendar {
  std::int64_t year = 0;
  unsigned month = 0, day = 0, weekday = 0, year_day = 0, hour = 0, minute = 0, second = 0;
};

constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};
constexpr std::array<std::string_view, 7> kWeekdays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::int64_t kDay = 86400;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

std::chrono::year_month_day date_of(std::int64_t days) {
  return std::chrono::year_month_day(std::chrono::sys_days(std::chrono::days(days)));
}

Calendar calendar_of(const Moment& moment) {
  const std::int64_t local = moment.seconds + moment.offset, days = floor_div(local, kDay);
  if (days > 11'000'000 || days < -11'000'000) throw ValueError("time is too far away");
  const auto date = date_of(days);
  const auto rest = static_cast<unsigned>(local - days * kDay);
  const std::chrono::sys_days first(date.year() / std::chrono::January / 1);
  Calendar out;
  out.year = int(date.year());
  out.month = unsigned(date.month());
  out.day = unsigned(date.day());
  out.weekday = std::chrono::weekday(std::chrono::sys_days(date)).c_encoding();
  out.year_day = static_cast<unsigned>((std::chrono::sys_days(date) - first).count()) + 1;
  out.hour = rest / 3600;
  out.minute = rest / 60 % 60;
  out.second = rest % 60;
  return out;
}

std::string digits(std::int64_t value, std::size_t width) {
  std::string out = std::to_string(value < 0 ? -value : value);
  if (out.size() < width) out.insert(0, width - out.size(), '0');
  return value < 0 ? "-" + out : out;
}

std::string zone_text(std::int64_t offset, std::string_view colon) {
  const std::int64_t size = offset < 0 ? -offset : offset;
  return cat(offset < 0 ? "-" : "+", digits(size / 3600, 2), colon, digits(size / 60 % 60, 2));
}

std::string rfc3339(const Moment& moment) {
  const Calendar at = calendar_of(moment);
  return cat(digits(at.year, 4), "-", digits(at.month, 2), "-", digits(at.day, 2), "T", digits(at.hour, 2), ":",
             digits(at.minute, 2), ":", digits(at.second, 2), moment.offset == 0 ? "Z" : zone_text(moment.offset, ":"));
}

Moment parse_moment(const std::string& text) {
  const auto nanoseconds = parse_rfc3339_ns(text);
  if (!nanoseconds) throw ValueError(cat(go_quote(text), " is not a time in RFC 3339, such as 2026-01-02T03:04:05Z"));
  Moment out;
  out.seconds = floor_div(*nanoseconds, 1'000'000'000);
  const std::string_view zone = std::string_view(text).substr(text.size() < 6 ? 0 : text.size() - 6);
  if (text.ends_with('Z') || text.ends_with('z') || zone.size() != 6) return out;
  const auto hours = parse_int(zone.substr(1, 2)), minutes = parse_int(zone.substr(4, 2));
  if (hours && minutes) out.offset = (*hours * 3600 + *minutes * 60) * (zone[0] == '-' ? -1 : 1);
  return out;
}

[[noreturn]] void invalid_verb(std::string_view verb) {
  throw ValueError(cat("invalid verb ", go_quote(verb), " in the pattern of a date"));
}

std::string number_verb(std::string_view verb, unsigned value) {
  if (verb.size() > 2) invalid_verb(verb);
  return digits(value, verb.size());
}

std::string name_verb(std::string_view verb, std::string_view name) {
  if (verb.size() == 4) return std::string(name);
  if (verb.size() == 3) return std::string(name.substr(0, 3));
  invalid_verb(verb);
}

std::string zone_verb(std::string_view verb, std::int64_t offset) {
  if (verb.size() == 1) return offset == 0 ? "Z" : zone_text(offset, ":");
  if (verb.size() == 3) return offset == 0 ? "UTC" : zone_text(offset, "");
  if (verb.size() == 4) return zone_text(offset, "");
  if (verb.size() == 5) return zone_text(offset, ":");
  invalid_verb(verb);
}

std::string year_verb(std::string_view verb, std::int64_t year) {
  if (verb.size() == 2) return digits(year % 100, 2);
  if (verb.size() == 4) return digits(year, 4);
  invalid_verb(verb);
}

std::string half_verb(std::string_view verb, unsigned hour) {
  if (verb.size() != 2) invalid_verb(verb);
  const std::string_view name = hour < 12 ? "AM" : "PM";
  return verb[0] == 'A' ? std::string(name) : to_lower(name);
}

std::string verb_text(std::string_view verb, const Moment& moment, const Calendar& at) {
  switch (verb[0]) {
    case 'Y':
      return year_verb(verb, at.year);
    case 'M':
      return verb.size() > 2 ? name_verb(verb, kMonths[at.month - 1]) : number_verb(verb, at.month);
    case 'D':
      return number_verb(verb, at.day);
    case 'E':
      return name_verb(verb, kWeekdays[at.weekday]);
    case 'h':
      return number_verb(verb, at.hour);
    case 'H':
      return number_verb(verb, at.hour % 12 == 0 ? 12 : at.hour % 12);
    case 'A':
    case 'a':
      return half_verb(verb, at.hour);
    case 'm':
      return number_verb(verb, at.minute);
    case 's':
      return number_verb(verb, at.second);
    case 'Z':
      return zone_verb(verb, moment.offset);
    default:
      invalid_verb(verb);
  }
}

/// After a quote: the text up to the next one, doubled quotes being one.
std::string quoted_text(std::string_view pattern, std::size_t& pos) {
  if (pattern.substr(pos).starts_with("''")) {
    pos += 2;
    return "'";
  }
  std::string out;
  for (++pos; pos < pattern.size(); ++pos) {
    if (pattern[pos] == '\'' && !pattern.substr(pos).starts_with("''")) {
      ++pos;
      return out;
    }
    if (pattern[pos] == '\'') ++pos;
    out += pattern[pos];
  }
  throw ValueError("a quote in the pattern is not closed");
}

std::string format_moment(const std::string& pattern, const Moment& moment) {
  const Calendar at = calendar_of(moment);
  std::string out;
  for (std::size_t pos = 0; pos < pattern.size();) {
    const char c = pattern[pos];
    if (c == '\'') {
      out += quoted_text(pattern, pos);
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      const std::size_t end = std::min(pattern.find_first_not_of(c, pos), pattern.size());
      out += verb_text(std::string_view(pattern).substr(pos, end - pos), moment, at);
      pos = end;
    } else {
      out += pattern[pos++];
    }
  }
  return out;
}

Value format_date(const Values& arguments) {
  return Value::string(format_moment(arguments[0].as_string(), parse_moment(arguments[1].as_string())));
}

Moment unix_moment(const Value& value) {
  const auto seconds = value.as_number().whole();
  if (!seconds) throw ValueError("time is not a whole number of seconds");
  if (*seconds > 900'000'000'000 || *seconds < -900'000'000'000) throw ValueError("time is too far away");
  return Moment{*seconds, 0};
}

Value format_timestamp(const Values& arguments) {
  const Value& time = arguments[1];
  if (!time.is_string() && time.kind() != Type::Kind::number)
    throw ValueError("time is neither a string nor a number of seconds");
  const Moment moment = time.is_string() ? parse_moment(time.as_string()) : unix_moment(time);
  if (arguments[0].as_string() == "X") return Value::string(std::to_string(moment.seconds));
  return Value::string(format_moment(arguments[0].as_string(), moment));
}

Value time_add(const Values& arguments) {
  Moment moment = parse_moment(arguments[0].as_string());
  const auto nanoseconds = parse_duration_ns(arguments[1].as_string());
  if (!nanoseconds) throw ValueError(cat(go_quote(arguments[1].as_string()), " is not a duration, such as 1h30m"));
  const std::int64_t fraction = parse_rfc3339_ns(arguments[0].as_string()).value_or(0) - moment.seconds * 1'000'000'000;
  moment.seconds += floor_div(*nanoseconds + fraction, 1'000'000'000);
  return Value::string(rfc3339(moment));
}

Value now(const Values&) { return Value::string(rfc3339(Moment{std::time(nullptr), 0})); }

/// The year and number of the week after ISO 8601: the one of its Thursday.
std::pair<std::int64_t, unsigned> iso_week(const Moment& moment, const Calendar& at) {
  const std::int64_t from_monday = (at.weekday + 6) % 7;
  const Calendar thursday = calendar_of(Moment{moment.seconds + (3 - from_monday) * kDay, moment.offset});
  return {thursday.year, (thursday.year_day - 1) / 7 + 1};
}

Value parse_unix(const Values& arguments) {
  const Moment moment = unix_moment(arguments[0]);
  const Calendar at = calendar_of(moment);
  const auto [iso_year, week] = iso_week(moment, at);
  return Value::object({{"year", Value::number(at.year)},
                        {"year_day", Value::number(std::int64_t{at.year_day})},
                        {"day", Value::number(std::int64_t{at.day})},
                        {"month", Value::number(std::int64_t{at.month})},
                        {"month_name", Value::string(std::string(kMonths[at.month - 1]))},
                        {"weekday", Value::number(std::int64_t{at.weekday})},
                        {"weekday_name", Value::string(std::string(kWeekdays[at.weekday]))},
                        {"hour", Value::number(std::int64_t{at.hour})},
                        {"minute", Value::number(std::int64_t{at.minute})},
                        {"second", Value::number(std::int64_t{at.second})},
                        {"rfc3339", Value::string(rfc3339(moment))},
                        {"iso_year", Value::number(iso_year)},
                        {"iso_week", Value::number(std::int64_t{week})}});
}

constexpr Function kTimeFunctions[] = {
    {"formatdate", "ss", format_date},
    {"formattimestamp", "sd", format_timestamp},
    {"timeadd", "ss", time_add},
    {"timestamp", "", now},
    {"unixtimestampparse", "n", parse_unix},
};

}  // namespace

std::span<const Function> time_functions() { return kTimeFunctions; }

}  // namespace cbuild::bake::hcl
