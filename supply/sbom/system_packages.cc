// SPDX-License-Identifier: Apache-2.0
// Databases of dpkg and apk: paragraphs of "Field: value" lines, with a blank line after each.
#include "supply/sbom/system_packages.h"

#include "base/text.h"

namespace cbuild::supply {
namespace {

using Fields = std::map<std::string, std::string>;

/// Calls `take` with the fields of each paragraph. Lines that go on with the one before are left out: none that counts
/// has some.
template <typename Take>
void for_each_paragraph(std::string_view text, const Take& take) {
  Fields fields;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (trim(line).empty()) {
      if (!fields.empty()) take(fields);
      fields.clear();
    } else if (const std::size_t colon = line.find(':'); line[0] != ' ' && colon != std::string_view::npos) {
      fields[std::string(line.substr(0, colon))] = trim(line.substr(colon + 1));
    }
  }
  if (!fields.empty()) take(fields);
}

std::string field(const Fields& fields, const char* name) {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string() : found->second;
}

std::string unquoted(std::string_view value) {
  value = trim(value);
  if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
    value = value.substr(1, value.size() - 2);
  return std::string(value);
}

/// "curl (7.88)" is the source of another version.
std::string upstream_of(const std::string& source) {
  const std::size_t open = source.find(" (");
  if (open == std::string::npos || !source.ends_with(')')) return source;
  return cat(source.substr(0, open), "@", source.substr(open + 2, source.size() - open - 3));
}

}  // namespace

Distribution parse_os_release(std::string_view text) {
  Distribution out;
  for (const std::string& line : split(text, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    if (line.substr(0, equals) == "ID") out.id = unquoted(line.substr(equals + 1));
    if (line.substr(0, equals) == "VERSION_ID") out.version = unquoted(line.substr(equals + 1));
  }
  return out;
}

std::vector<Package> parse_dpkg_status(std::string_view text, const Distribution& distribution) {
  std::vector<Package> out;
  for_each_paragraph(text, [&](const Fields& fields) {
    const std::string status = field(fields, "Status"), name = field(fields, "Package");
    // Entries of status.d have no status: they are installed.
    if (name.empty() || (!status.empty() && !status.ends_with(" installed"))) return;
    out.push_back({"deb",
                   distribution.id.empty() ? "debian" : distribution.id,
                   name,
                   field(fields, "Version"),
                   {{"arch", field(fields, "Architecture")},
                    {"distro", distribution.str()},
                    {"upstream", upstream_of(field(fields, "Source"))}},
                   {},
                   field(fields, "Maintainer"),
                   {}});
  });
  return out;
}

std::vector<Package> parse_apk_database(std::string_view text, const Distribution& distribution) {
  std::vector<Package> out;
  for_each_paragraph(text, [&](const Fields& fields) {
    const std::string name = field(fields, "P"), origin = field(fields, "o");
    if (name.empty()) return;
    out.push_back({"apk",
                   distribution.id.empty() ? "alpine" : distribution.id,
                   name,
                   field(fields, "V"),
                   {{"arch", field(fields, "A")},
                    {"distro", distribution.str()},
                    {"upstream", origin == name ? std::string() : origin}},
                   field(fields, "L"),
                   field(fields, "m"),
                   {}});
  });
  return out;
}

}  // namespace cbuild::supply
