// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/again.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace cbuild::cli {
namespace {

using AgainJson = nlohmann::ordered_json;

/// They name outputs, views or other stores, or make steps run again.
constexpr std::string_view kLeftOut[] = {
    "--annotation",   "--attest",  "--cache-from", "--cache-to",      "--call",     "--check",
    "--default-load", "--iidfile", "--load",       "--metadata-file", "--no-cache", "--no-cache-filter",
    "--on-error",     "--output",  "--progress",   "--provenance",    "--pull",     "--push",
    "--quiet",        "--report",  "--root",       "--sbom",          "--sign",     "--sync",
    "--tag"};

bool is_left_out(const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  return std::find(std::begin(kLeftOut), std::end(kLeftOut), name) != std::end(kLeftOut);
}

bool reads_stdin(const std::string& word) { return word == "-" || word == "--file=-"; }

/// "https://user:token@host/", but not "docker-image://name@sha256:...".
bool has_password(const std::string& word) {
  const std::size_t scheme = word.find("://");
  if (scheme == std::string::npos) return false;
  const std::string authority = word.substr(scheme + 3, word.find('/', scheme + 3) - scheme - 3);
  const std::size_t at = authority.find('@');
  return at != std::string::npos && authority.find(':', at) != at + 7;
}

}  // namespace

std::string again_text(const Arguments& plain, const std::string& directory) {
  AgainJson words = AgainJson::array();
  bool dropped = false;
  for (const std::string& word : plain) {
    if (reads_stdin(word) || has_password(word)) return {};
    if (word.empty() && dropped) continue;  // its value
    dropped = word.starts_with("--") && is_left_out(word);
    if (!dropped) words.push_back(word);
  }
  return AgainJson{{"directory", directory}, {"words", std::move(words)}}.dump(-1, ' ', false,
                                                                               AgainJson::error_handler_t::replace);
}

std::optional<AgainLine> read_again(std::string_view text) {
  const AgainJson json = AgainJson::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("directory") || !json.contains("words")) return std::nullopt;
  const AgainJson &directory = json["directory"], &words = json["words"];
  if (!directory.is_string() || !words.is_array()) return std::nullopt;
  AgainLine line{directory.get<std::string>(), {}};
  for (const AgainJson& word : words) {
    if (!word.is_string()) return std::nullopt;
    line.words.push_back(word.get<std::string>());
  }
  return line;
}

}  // namespace cbuild::cli
