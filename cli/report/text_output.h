// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace cbuild::cli {

/// A table for people: columns as wide as their widest cell, two blanks between. Cells are made safe for a terminal.
class Table {
 public:
  explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// "just now", "5 minutes ago", "3 days ago"; `then_ns` is wall clock, 0 gives "-".
std::string format_ago(std::int64_t then_ns);

/// At most `width` characters (UTF-8), with "..." for the part cut off.
std::string shorten(const std::string& text, std::size_t width);

/// Asks on stdout and reads a line from stdin: true for "y" and "yes".
bool confirm(const std::string& question);

}  // namespace cbuild::cli
