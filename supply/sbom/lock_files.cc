// SPDX-License-Identifier: Apache-2.0
// Lock files that are lines of text. They come from an image and may be anything, so each is read line by line for the
// few shapes that name a package and its version, in one pass, whatever else stands in it.
#include "supply/sbom/lock_files.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/text.h"
#include "base/url_parts.h"
#include "supply/sbom/go_binary.h"

namespace cbuild::supply {
namespace {

constexpr std::size_t kMostPackages = 100'000;  ///< of one file

template <typename Take>
void for_each_line(std::string_view text, const Take& take) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    take(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

void add_package(std::vector<Package>& out, Package package) {
  if (package.name.empty() || package.version.empty() || out.size() >= kMostPackages) return;
  out.push_back(std::move(package));
}

std::string_view without_quotes(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    return text.substr(1, text.size() - 2);
  return text;
}

/// "@scope/name" apart.
Package npm_package(std::string_view name, std::string_view version) {
  const std::size_t slash = name.starts_with('@') ? name.find('/') : std::string_view::npos;
  if (slash == std::string_view::npos) return {"npm", {}, std::string(name), std::string(version), {}, {}, {}, {}};
  return {
      "npm", std::string(name.substr(0, slash)), std::string(name.substr(slash + 1)), std::string(version), {}, {}, {},
      {}};
}

/// The name of "lodash@^4", "@a/b@npm:1.x", "\"@a/b@~1\"".
std::string_view name_before_at(std::string_view entry) {
  entry = without_quotes(entry);
  const std::size_t at = entry.find('@', 1);
  return at == std::string_view::npos ? entry : entry.substr(0, at);
}

/// name = "x" and version = "y" below each [[package]].
std::vector<Package> parse_toml_packages(std::string_view text, const std::string& type) {
  std::vector<Package> out;
  Package current;
  bool inside = false;
  const auto finish = [&] { add_package(out, std::exchange(current, Package{type, {}, {}, {}, {}, {}, {}, {}})); };
  finish();
  for_each_line(text, [&](std::string_view line) {
    if (line.starts_with('[')) {
      if (line.starts_with("[[package]]")) finish();
      inside = line.starts_with("[[package]]");
    } else if (const std::size_t equals = line.find('='); inside && equals != std::string_view::npos) {
      const std::string_view key = trim(line.substr(0, equals));
      if (key == "name") current.name = without_quotes(line.substr(equals + 1));
      if (key == "version") current.version = without_quotes(line.substr(equals + 1));
    }
  });
  finish();
  return out;
}

/// PEP 503: names that differ in case and separators only are one.
std::string python_name(std::string_view name) {
  std::string out;
  for (const char c : to_lower(trim(name))) {
    const bool separator = c == '_' || c == '.' || c == '-';
    if (separator && out.ends_with('-')) continue;
    out += separator ? '-' : c;
  }
  return out;
}

template <const auto& kName>
bool is_named(std::string_view name) {
  return name == kName;
}

bool is_requirements(std::string_view name) { return name.starts_with("requirements") && name.ends_with(".txt"); }

constexpr std::string_view kPackageLock = "package-lock.json", kShrinkwrap = "npm-shrinkwrap.json", kYarn = "yarn.lock",
                           kPnpm = "pnpm-lock.yaml", kPoetry = "poetry.lock", kPipfile = "Pipfile.lock",
                           kCargo = "Cargo.lock", kGoSum = "go.sum", kGem = "Gemfile.lock", kComposer = "composer.lock",
                           kPom = "pom.xml";

constexpr std::array kLockFiles = {
    LockFile{is_named<kPackageLock>, parse_package_lock},
    LockFile{is_named<kShrinkwrap>, parse_package_lock},
    LockFile{is_named<kYarn>, parse_yarn_lock},
    LockFile{is_named<kPnpm>, parse_pnpm_lock},
    LockFile{is_requirements, parse_requirements},
    LockFile{is_named<kPoetry>, parse_poetry_lock},
    LockFile{is_named<kPipfile>, parse_pipfile_lock},
    LockFile{is_named<kCargo>, parse_cargo_lock},
    LockFile{is_named<kGoSum>, parse_go_sum},
    LockFile{is_named<kGem>, parse_gemfile_lock},
    LockFile{is_named<kComposer>, parse_composer_lock},
    LockFile{is_named<kPom>, parse_maven_pom},
};

}  // namespace

const LockFile* find_lock_file(std::string_view name) {
  const auto found =
      std::find_if(kLockFiles.begin(), kLockFiles.end(), [&](const LockFile& file) { return file.matches(name); });
  return found == kLockFiles.end() ? nullptr : &*found;
}

std::vector<Package> parse_yarn_lock(std::string_view text) {
  std::vector<Package> out;
  std::string_view name;
  for_each_line(text, [&](std::string_view line) {
    if (line.empty() || line.starts_with('#')) return;
    if (line[0] != ' ' && line.ends_with(':')) {
      name = name_before_at(line.substr(0, line.find(',')));
      if (name.ends_with(':')) name.remove_suffix(1);
      if (name.starts_with('"')) name.remove_prefix(1);
      if (name == "__metadata") name = {};
      return;
    }
    const std::string_view field = trim(line);
    if (name.empty() || !line.starts_with("  ") || line.starts_with("    ") || !field.starts_with("version")) return;
    std::string_view version = field.substr(7);
    if (version.starts_with(':')) version.remove_prefix(1);
    add_package(out, npm_package(name, without_quotes(version)));
    name = {};
  });
  return out;
}

std::vector<Package> parse_pnpm_lock(std::string_view text) {
  std::vector<Package> out;
  bool inside = false;
  for_each_line(text, [&](std::string_view line) {
    if (!line.empty() && line[0] != ' ') inside = line.starts_with("packages:");
    if (!inside || !line.starts_with("  ") || line.starts_with("   ") || !line.ends_with(':')) return;
    std::string_view entry = without_quotes(line.substr(2, line.size() - 3));
    if (entry.starts_with('/')) entry.remove_prefix(1);
    entry = entry.substr(0, entry.find('('));  // peers
    std::size_t cut = entry.rfind('@');
    if (cut == std::string_view::npos || cut == 0) cut = entry.rfind('/');  // "/name/1.0.0" of early versions
    if (cut == std::string_view::npos) return;
    add_package(out, npm_package(entry.substr(0, cut), entry.substr(cut + 1)));
  });
  return out;
}

std::vector<Package> parse_requirements(std::string_view text) {
  std::vector<Package> out;
  for_each_line(text, [&](std::string_view line) {
    line = trim(line.substr(0, line.find('#')));
    const std::size_t equals = line.find("==");
    if (line.starts_with('-') || equals == std::string_view::npos) return;
    const std::string_view name = line.substr(0, std::min(equals, line.find('[')));
    const std::size_t first = line.find_first_not_of('=', equals);
    if (first == std::string_view::npos) return;
    std::string_view version = line.substr(first);
    version = trim(version.substr(0, version.find_first_of(" ;,\\")));
    if (version.find('*') != std::string_view::npos) return;
    add_package(out, {"pypi", {}, python_name(name), std::string(version), {}, {}, {}, {}});
  });
  return out;
}

std::vector<Package> parse_poetry_lock(std::string_view text) {
  std::vector<Package> out = parse_toml_packages(text, "pypi");
  for (Package& package : out) package.name = python_name(package.name);
  return out;
}

std::vector<Package> parse_cargo_lock(std::string_view text) { return parse_toml_packages(text, "cargo"); }

std::vector<Package> parse_go_sum(std::string_view text) {
  std::vector<Package> out;
  for_each_line(text, [&](std::string_view line) {
    const std::vector<std::string> words = split(line, ' ');
    if (words.size() != 3 || !words[2].starts_with("h1:") || words[1].ends_with("/go.mod")) return;
    add_package(out, go_module(words[0], words[1]));
  });
  return out;
}

std::vector<Package> parse_gemfile_lock(std::string_view text) {
  std::vector<Package> out;
  bool inside = false;
  for_each_line(text, [&](std::string_view line) {
    if (!line.empty() && line[0] != ' ') inside = line == "GEM" || line == "GIT" || line == "PATH";
    const bool entry = inside && line.starts_with("    ") && !line.starts_with("     ");
    const std::size_t open = line.find(" (");
    if (!entry || open == std::string_view::npos || !line.ends_with(')')) return;
    const std::string_view version = line.substr(open + 2, line.size() - open - 3);
    add_package(out, {"gem", {}, std::string(trim(line.substr(0, open))), std::string(version), {}, {}, {}, {}});
  });
  return out;
}

std::vector<Package> parse_python_metadata(std::string_view text) {
  std::vector<Package> out;
  Package package{"pypi", {}, {}, {}, {}, {}, {}, {}};
  bool header = true;
  for_each_line(text, [&](std::string_view line) {
    if (line.empty()) header = false;  // the description follows
    if (!header) return;
    if (line.starts_with("Name:")) package.name = python_name(line.substr(5));
    if (line.starts_with("Version:")) package.version = trim(line.substr(8));
    if (line.starts_with("License:")) package.license = trim(line.substr(8));
  });
  add_package(out, std::move(package));
  return out;
}

namespace {

/// The text of the next <name>...</name> in `xml`, from `at` on; moves `at` behind it. Nullopt: there is none.
std::optional<std::string_view> next_element(std::string_view xml, std::string_view name, std::size_t& at) {
  const std::string open = cat("<", name, ">"), close = cat("</", name, ">");
  const std::size_t begin = xml.find(open, at);
  const std::size_t end = begin == std::string_view::npos ? begin : xml.find(close, begin);
  if (end == std::string_view::npos) return std::nullopt;
  at = end + close.size();
  return xml.substr(begin + open.size(), end - begin - open.size());
}

std::string_view element_text(std::string_view xml, std::string_view name) {
  std::size_t at = 0;
  return trim(next_element(xml, name, at).value_or(std::string_view()));
}

/// "${a.version}" by the properties of the file; any other text as it is.
std::string_view property_value(std::string_view text, std::string_view properties) {
  if (!text.starts_with("${") || !text.ends_with('}')) return text;
  return element_text(properties, text.substr(2, text.size() - 3));
}

}  // namespace

std::vector<Package> parse_maven_pom(std::string_view xml) {
  std::vector<Package> out;
  const std::string_view properties = element_text(xml, "properties");
  std::size_t at = 0;
  while (const auto dependency = next_element(xml, "dependency", at))
    add_package(out, {"maven",
                      std::string(property_value(element_text(*dependency, "groupId"), properties)),
                      std::string(property_value(element_text(*dependency, "artifactId"), properties)),
                      std::string(property_value(element_text(*dependency, "version"), properties)),
                      {},
                      {},
                      {},
                      {}});
  return out;
}

}  // namespace cbuild::supply
