// SPDX-License-Identifier: Apache-2.0
#include "cli/report/text_output.h"

#include <algorithm>
#include <iostream>

#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string one_line(const std::string& text) {
  return replace_all(replace_all(sanitize_for_terminal(text), "\n", " "), "\t", " ");
}

}  // namespace

void Table::print(std::ostream& out) const {
  std::vector<std::vector<std::string>> rows = rows_;
  std::vector<std::size_t> widths(rows[0].size(), 0);
  for (auto& row : rows)
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      row[i] = one_line(row[i]);
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - width_of(row[i]) + 2, ' ');
    }
    out << line << '\n';
  }
}

std::string format_ago(std::int64_t then_ns) {
  if (then_ns == 0) return "-";
  const std::int64_t seconds = std::max<std::int64_t>((sys::now_ns() - then_ns) / 1'000'000'000, 0);
  if (seconds < 5) return "just now";
  const auto text = [](std::int64_t count, const char* unit) {
    return cat(count, " ", unit, count == 1 ? "" : "s", " ago");
  };
  constexpr std::int64_t kMinute = 60, kHour = 3600, kDay = 86'400;
  if (seconds < 2 * kMinute) return text(seconds, "second");
  if (seconds < 2 * kHour) return text(seconds / kMinute, "minute");
  if (seconds < 2 * kDay) return text(seconds / kHour, "hour");
  return text(seconds / kDay, "day");
}

std::string shorten(const std::string& text, std::size_t width) {
  if (width_of(text) <= width) return text;
  std::string out;
  std::size_t used = 0;
  for (const char c : text) {
    if (begins_character(c) && ++used + 3 > width) break;
    out += c;
  }
  return out + "...";
}

bool confirm(const std::string& question) {
  std::cout << question << std::flush;
  std::string answer;
  if (!std::getline(std::cin, answer)) std::cout << '\n';
  const std::string given = to_lower(trim(answer));
  return given == "y" || given == "yes";
}

}  // namespace cbuild::cli
