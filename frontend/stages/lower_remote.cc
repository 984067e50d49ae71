// SPDX-License-Identifier: Apache-2.0
// Tells git repositories from files by URL, as BuildKit does by the text alone, and takes a repository's URL apart: the
// remote, and from the fragment ("#ref:subdir") or the query ("?branch=...&subdir=...") the part that is wanted. The
// two may both name the ref, but not different ones.
#include "frontend/stages/lower_remote.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "base/url_parts.h"
#include "base/words.h"

namespace cbuild::frontend {

namespace {

using Query = std::map<std::string, std::vector<std::string>>;

[[noreturn]] void invalid_source(std::string message) { throw Error(ErrorCode::input, std::move(message)); }

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Cuts `text` at the first `separator` and returns the rest, empty if there is none.
std::string_view cut(std::string_view& text, char separator) {
  const std::size_t position = text.find(separator);
  if (position == std::string_view::npos) return {};
  const std::string_view rest = text.substr(position + 1);
  text = text.substr(0, position);
  return rest;
}

/// Of application/x-www-form-urlencoded.
std::string form_decode(std::string_view text) { return percent_decode(replace_all(std::string(text), "+", " ")); }

Query parse_query(std::string_view text) {
  Query out;
  for (const std::string& field : split(text, '&')) {
    if (field.empty()) continue;
    std::string_view key = field;
    const std::string_view value = cut(key, '=');
    out[form_decode(key)].push_back(form_decode(value));
  }
  return out;
}

bool parse_flag(const std::string& key, const std::string& value) {
  if (value.empty()) return true;
  if (const std::optional<bool> flag = parse_bool(value)) return *flag;
  invalid_source(cat("invalid ", key, " value: ", go_quote(value)));
}

void set_once(std::string& field, const char* what, const std::string& value) {
  if (!field.empty() && field != value) {
    invalid_source(cat(what, " conflicts: ", go_quote(field), " vs ", go_quote(value)));
  }
  field = value;
}

std::string with_prefix(std::string_view prefix, const std::string& name) {
  return name.starts_with(prefix) ? name : cat(prefix, name);
}

void apply_query_item(GitRef& out, const std::string& key, const std::string& value) {
  if (key == "ref") {
    set_once(out.ref, "ref", value);
  } else if (key == "subdir") {
    set_once(out.subdir, "subdir", value);
  } else if (key == "checksum" || key == "commit") {
    out.checksum = value;
  } else if (key == "keep-git-dir") {
    out.keep_git_dir = parse_flag(key, value);
  } else if (key == "submodules") {
    out.submodules = parse_flag(key, value);
  } else if (key == "fetch-by-commit") {
    out.fetch_by_commit = parse_flag(key, value);
  } else if (key == "mtime") {
    if (value != "checkout" && value != "commit") {
      invalid_source(cat("invalid mtime value: ", go_quote(value), " (must be \"checkout\" or \"commit\")"));
    }
    out.mtime = value;
  } else if (key != "tag" && key != "branch") {
    invalid_source(cat("unexpected query ", go_quote(key)));
  }
}

void apply_query(GitRef& out, const Query& query) {
  static constexpr std::string_view kValueless[] = {"submodules", "keep-git-dir", "fetch-by-commit"};
  for (const auto& [key, values] : query) {
    if (values.size() > 1) invalid_source(cat("query ", go_quote(key), " has multiple values"));
    const bool may_be_empty = std::find(std::begin(kValueless), std::end(kValueless), key) != std::end(kValueless);
    if (values[0].empty() && !may_be_empty) invalid_source(cat("query ", go_quote(key), " has no value"));
    apply_query_item(out, key, values[0]);
  }
  const auto tag = query.find("tag"), branch = query.find("branch");
  if (tag != query.end()) set_once(out.ref, "ref", with_prefix("refs/tags/", tag->second[0]));
  if (branch == query.end()) return;
  if (tag != query.end()) invalid_source("branch conflicts with tag");
  set_once(out.ref, "ref", with_prefix("refs/heads/", branch->second[0]));
}

void apply_fragment(GitRef& out, std::string_view fragment) {
  const std::string decoded = percent_decode(fragment);
  std::string_view ref = decoded;
  const std::string_view subdir = cut(ref, ':');
  out.ref = ref;
  out.subdir = join_path("/", subdir).substr(1);
}

/// "user@host:path", git's short form of ssh.
bool is_scp_style(std::string_view text) {
  const std::size_t at = text.find('@');
  const std::size_t colon = text.find(':');
  if (at == std::string_view::npos || colon == std::string_view::npos || at == 0 || colon <= at + 1) return false;
  const std::string_view user = text.substr(0, at), host = text.substr(at + 1, colon - at - 1);
  return std::all_of(user.begin(), user.end(), [](char c) { return is_alnum(c) || c == '-' || c == '_'; }) &&
         std::all_of(host.begin(), host.end(), [](char c) { return is_alnum(c) || c == '-' || c == '.'; });
}

bool is_git_remote(std::string_view remote) {
  const std::optional<UrlParts> url = split_url(remote);
  if (!url) return is_scp_style(remote);
  const std::string scheme = to_lower(url->scheme);
  if (scheme == "http" || scheme == "https") return url->path.ends_with(".git");
  return scheme == "git" || scheme == "ssh";
}

}  // namespace

std::optional<GitRef> parse_git_ref(std::string_view text, bool allow_bare_github) {
  std::string full(text);
  if (text.starts_with("github.com/")) {
    if (!allow_bare_github) return std::nullopt;
    full.insert(0, "https://");
  }
  std::string_view remote = full;
  const std::string_view fragment = cut(remote, '#');
  const std::string_view query = cut(remote, '?');
  if (!text.starts_with("github.com/") && !is_git_remote(remote)) return std::nullopt;
  GitRef out;
  out.remote = remote;
  apply_fragment(out, fragment);
  apply_query(out, parse_query(query));
  return out;
}

bool is_commit_id(std::string_view ref) {
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return (ref.size() == 40 || ref.size() == 64) && std::all_of(ref.begin(), ref.end(), hex);
}

bool is_http_url(std::string_view text) {
  if (!text.starts_with("http://") && !text.starts_with("https://")) return false;
  std::string_view remote = text;
  cut(remote, '#');
  cut(remote, '?');
  return !is_git_remote(remote);
}

std::string url_file_name(std::string_view url) {
  const std::optional<UrlParts> parts = split_url(url);
  const std::string path = parts ? percent_decode(parts->path) : "";
  const std::string base = path.empty() ? "" : base_name(clean_path(path));
  return base.empty() || base == "." || base == "/" ? "__unnamed__" : base;
}

}  // namespace cbuild::frontend
