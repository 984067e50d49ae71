// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild {

namespace detail {
inline void append(std::string& out, std::string_view s) { out += s; }
inline void append(std::string& out, char c) { out += c; }
template <typename T>
  requires std::is_integral_v<T>
void append(std::string& out, T value) {
  out += std::to_string(value);
}
}  // namespace detail

/// Concatenates strings, characters and integers.
template <typename... Args>
std::string cat(const Args&... args) {
  std::string out;
  (detail::append(out, args), ...);
  return out;
}

std::vector<std::string> split(std::string_view text, char separator);
std::string join(std::span<const std::string> parts, std::string_view separator);
std::string_view trim(std::string_view text);  ///< ASCII blanks at both ends
std::string to_lower(std::string_view text);   ///< ASCII only
std::string to_upper(std::string_view text);   ///< ASCII only
bool iequals(std::string_view a, std::string_view b);
bool starts_with_i(std::string_view text, std::string_view prefix);
std::string replace_all(std::string text, std::string_view from, std::string_view to);

/// Whole-string parse of a decimal (or other base) integer; nullopt on anything else.
std::optional<std::int64_t> parse_int(std::string_view text, int base = 10);
/// "10", "64k", "1.5GB", "2gib" -> bytes (units are powers of 1024, as docker reads them).
std::optional<std::uint64_t> parse_size(std::string_view text);
/// Go duration syntax ("1h30m", "500ms", "-1.5s", "0") -> nanoseconds.
std::optional<std::int64_t> parse_duration_ns(std::string_view text);

std::string format_size(std::uint64_t bytes);      ///< "1.2 MB", powers of 1000 as docker prints them
std::string format_seconds(std::int64_t ns);       ///< "0.4s", "12.3s", "1m02s"
std::string format_go_duration(std::int64_t ns);   ///< "5m0s", as Go prints a Duration
std::string format_rfc3339(std::int64_t epoch_s);  ///< "2026-01-02T03:04:05Z"; outside the years 0 to 9999 the nearest
std::string format_rfc3339_ns(std::int64_t epoch_ns);
/// nullopt also for times that do not fit, which are those before 1677 and after 2262.
std::optional<std::int64_t> parse_rfc3339_ns(std::string_view text);

/// Go's strconv.Quote: "%q". Code points that no Unicode version has assigned stay as they are.
std::string go_quote(std::string_view text);
/// POSIX shell quoting for display.
std::string shell_quote(std::string_view text);
/// Control characters, characters that reorder or hide text, and invalid UTF-8 made visible ("^[", "<U+202E>",
/// "\\xff"); for untrusted text on a terminal. Line feeds and tabs stay.
std::string sanitize_for_terminal(std::string_view text);

std::string base64_encode(std::string_view data);
/// Padded standard base64; line ends are skipped. nullopt for anything else.
std::optional<std::string> base64_decode(std::string_view text);

/// The candidate nearest to `word`, for "did you mean": case does not count, swapped neighbours are one mistake, and
/// the number of mistakes allowed grows with the length. nullopt if none is near or one is equal.
std::optional<std::string> suggest(std::string_view word, std::span<const std::string> candidates);

/// Path arithmetic on '/'-separated names as Go's path.Clean and path.Join do it; no file system access.
std::string clean_path(std::string_view path);
std::string join_path(std::string_view a, std::string_view b);
std::string base_name(std::string_view path);
std::string dir_name(std::string_view path);
/// Of relative paths, where "" is the root.
std::string child_path(const std::string& directory, const std::string& name);
std::string parent_path(const std::string& path);

}  // namespace cbuild
