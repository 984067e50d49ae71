// SPDX-License-Identifier: Apache-2.0
// Lexical path arithmetic with the results of Go's package "path".
#include "base/text.h"

namespace cbuild {

std::string clean_path(std::string_view path) {
  const bool rooted = path.starts_with('/');
  std::string out(rooted ? "/" : "");
  // Up to here ".." takes nothing away: the root, or leading ".." that are kept.
  std::size_t floor = out.size();
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (out.size() > floor) {
        const std::size_t slash = out.rfind('/');
        out.resize(slash == std::string::npos || slash < floor ? floor : slash);
        continue;
      }
      if (rooted) continue;
    }
    if (!out.empty() && out.back() != '/') out += '/';
    out += name;
    if (name == "..") floor = out.size();
  }
  return out.empty() ? "." : out;
}

std::string join_path(std::string_view a, std::string_view b) {
  if (a.empty() && b.empty()) return {};
  if (a.empty()) return clean_path(b);
  if (b.empty()) return clean_path(a);
  return clean_path(cat(a, '/', b));
}

std::string base_name(std::string_view path) {
  if (path.empty()) return ".";
  const std::size_t last = path.find_last_not_of('/');
  if (last == std::string_view::npos) return "/";
  path = path.substr(0, last + 1);
  return std::string(path.substr(path.rfind('/') + 1));
}

std::string dir_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return clean_path(slash == std::string_view::npos ? std::string_view() : path.substr(0, slash + 1));
}

std::string child_path(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : cat(directory, '/', name);
}

std::string parent_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

}  // namespace cbuild
