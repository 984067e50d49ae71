// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cbuild::frontend {

/// A git remote with the parts of its fragment ("#ref:subdir") and query.
struct GitRef {
  std::string remote;  ///< for git: without fragment and query
  std::string ref, subdir;
  std::string checksum;  ///< commit or a prefix of it; empty: any
  std::string mtime;     ///< "checkout" or "commit"; empty: not given
  std::optional<bool> keep_git_dir, submodules;
  bool fetch_by_commit = false;  ///< trust the checksum as the commit

  bool operator==(const GitRef&) const = default;
};

/// nullopt: `text` is not a git remote. An http(s) URL is one only if its path ends in ".git".
/// `allow_bare_github`: "github.com/x/y" is one too, as for build contexts; for ADD that is a local path.
/// Throws Error{input} for a remote with a bad query.
std::optional<GitRef> parse_git_ref(std::string_view text, bool allow_bare_github);

/// Whether `ref` is a whole object name, so that there is nothing to look up.
bool is_commit_id(std::string_view ref);

/// "http://" or "https://" and no git remote.
bool is_http_url(std::string_view text);

/// Name of the file an ADD of `url` makes: the last part of the path, percent-decoded; "__unnamed__" where
/// there is none.
std::string url_file_name(std::string_view url);

}  // namespace cbuild::frontend
