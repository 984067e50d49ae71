// SPDX-License-Identifier: Apache-2.0
// Symlinks of a merged tree, followed by ourselves: the kernel would follow them in one layer only, and out
// of the root.
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cache/content/tree.h"

namespace cbuild::cache {

namespace {

constexpr unsigned kMaxLinks = 255;

enum class Missing { fails, is_kept };

/// The way that is still to go, last part first.
void push_parts(std::vector<std::string>& todo, const std::string& path) {
  std::vector<std::string> parts = split(path, '/');
  std::reverse(parts.begin(), parts.end());
  for (std::string& part : parts) {
    if (!part.empty() && part != ".") todo.push_back(std::move(part));
  }
}

void pop_part(std::string& path) {
  const std::size_t slash = path.rfind('/');
  path.resize(slash == std::string::npos ? 0 : slash);
}

std::optional<std::string> walk(const TreeView& tree, const std::string& path, bool follow_last, Missing missing) {
  std::vector<std::string> todo;
  push_parts(todo, path);
  std::string at;
  unsigned links = 0;
  bool gone = false;  ///< `at` does not exist
  while (!todo.empty()) {
    const std::string part = std::move(todo.back());
    todo.pop_back();
    if (part == "..") {
      pop_part(at);
      gone = false;
      continue;
    }
    at += at.empty() ? part : "/" + part;
    const auto entry = gone ? std::nullopt : tree.lookup(at);
    if (!entry) {
      if (missing == Missing::fails) return std::nullopt;
      gone = true;
    } else if (S_ISLNK(entry->st.st_mode) && (follow_last || !todo.empty())) {
      if (++links > kMaxLinks) throw Error(ErrorCode::input, cat("too many levels of symbolic links: ", path));
      const std::string target = tree.read_link(at);
      push_parts(todo, target);
      if (target.starts_with('/'))
        at.clear();
      else
        pop_part(at);
    } else if (!S_ISDIR(entry->st.st_mode) && !todo.empty() && missing == Missing::fails) {
      return std::nullopt;
    }
  }
  return at;
}

}  // namespace

std::optional<std::string> TreeView::resolve(const std::string& path, bool follow_last) const {
  return walk(*this, path, follow_last, Missing::fails);
}

std::string TreeView::resolve_for_create(const std::string& path) const {
  return *walk(*this, path, true, Missing::is_kept);
}

}  // namespace cbuild::cache
