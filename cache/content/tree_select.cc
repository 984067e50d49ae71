// SPDX-License-Identifier: Apache-2.0
// Expanding the sources of COPY: plain paths follow symlinks in all parts; wildcards match name by name, so that no
// symlinked directory is entered on the way, and a match that is a symlink is followed at the end (BuildKit:
// contenthash, fsutil ResolveWildcards).
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cache/content/tree_digest.h"
#include "cache/content/tree_select.h"

namespace cbuild::cache {

namespace {

class Expansion {
 public:
  Expansion(const TreeView& tree, const PathPatternList& ignore, bool required, bool follow = true)
      : tree_(tree), ignore_(ignore), required_(required), follow_(follow) {}

  using Kind = Selected::Kind;

  void plain(const std::string& asked, const std::string& as, Kind kind = Kind::plain) {
    auto real = tree_.resolve(asked, follow_);
    if (real && is_visible(*real)) {
      out_.push_back({std::move(*real), as, false, kind});
    } else if (required_) {
      throw Error(ErrorCode::not_found, cat("\"/", asked, "\": not found"));
    }
  }

  /// Go's filepath.Match: a wildcard part matches one name.
  void wildcard(const std::string& pattern) {
    std::vector<std::string> parts = split(pattern, '/');
    std::size_t fixed = 0;
    std::string base;
    while (fixed < parts.size() && !has_glob(parts[fixed])) base = child_path(base, parts[fixed++]);
    const auto real = tree_.resolve(base);
    if (real) match_below(*real, base, {parts.begin() + static_cast<std::ptrdiff_t>(fixed), parts.end()});
  }

  /// With "**": the whole tree below `base` that could match.
  void deep_wildcard(const std::string& base, const std::string& real_base, const PathGlob& glob,
                     const std::string& below) {
    for (const auto& entry : tree_.list(child_of_real(real_base, below))) {
      const std::string relative = child_path(below, entry.name);
      if (glob.matches(relative)) {
        add_match(child_path(real_base, relative), with_pivot(base, relative), entry);
      } else if (S_ISDIR(entry.st.st_mode) && glob.could_match_below(relative)) {
        deep_wildcard(base, real_base, glob, relative);
      }
    }
  }

  /// With --parents: the matches of `rest` below `pivot`; where that is a wildcard that matches nothing, the pivot
  /// alone.
  void below_pivot(const Selected& pivot, const std::string& rest) {
    const auto entry = tree_.lookup(pivot.path);
    if (!entry || !S_ISDIR(entry->st.st_mode)) return out_.push_back(pivot);
    Expansion below(tree_, ignore_, false, false);
    if (has_glob(rest))
      below.deep_wildcard(pivot.as, pivot.path, PathGlob(rest), "");
    else
      below.as_it_is(pivot.path, rest, pivot.as);
    for (Selected& one : below.out_) one.kind = Kind::below_pivot;
    if (below.out_.empty()) below.out_.push_back({pivot.path, with_pivot(pivot.as, ""), true, Kind::pivot_alone});
    out_.insert(out_.end(), below.out_.begin(), below.out_.end());
  }

  /// With --parents: `bases` stands before the pivot and is read as any other source, `rest` behind it.
  void parents(const std::string& bases, const std::string& rest) {
    if (!has_glob(bases) && !has_glob(rest)) {
      const auto real = tree_.resolve(bases);
      if (!real || !as_it_is(*real, rest, bases))
        throw Error(ErrorCode::not_found, cat("\"/", child_path(bases, rest), "\": not found"));
      out_.back().kind = Kind::below_pivot;
      return;
    }
    Expansion pivots(tree_, ignore_, true);
    if (has_glob(bases))
      pivots.wildcard(bases);
    else
      pivots.plain(bases, bases);
    for (const Selected& pivot : pivots.out_) below_pivot(pivot, rest);
  }

  /// With --parents a path behind the pivot is taken as it lies there: a link is copied as one, and leads nowhere.
  bool as_it_is(const std::string& real_base, const std::string& rest, const std::string& base) {
    std::string path = child_of_real(real_base, rest);
    if (!tree_.lookup(path) || !is_visible(path)) return false;
    out_.push_back({std::move(path), with_pivot(base, rest), false});
    return true;
  }

  std::vector<Selected> take() { return std::move(out_); }

 private:
  static std::string with_pivot(const std::string& base, const std::string& rest) {
    return base.empty() ? rest : cat(base, kPivot, rest);
  }
  static std::string child_of_real(const std::string& base, const std::string& below) {
    return below.empty() ? base : child_path(base, below);
  }

  void match_below(const std::string& real, const std::string& as, const std::vector<std::string>& parts) {
    const auto entry = tree_.lookup(real);
    if (!entry || !S_ISDIR(entry->st.st_mode)) return;
    const std::vector<std::string> rest(parts.begin() + 1, parts.end());
    for (const auto& child : tree_.list(real)) {
      const auto matched = match_glob(parts[0], child.name);
      if (!matched) throw Error(ErrorCode::input, cat("syntax error in pattern: ", parts[0]));
      if (!*matched) continue;
      const std::string path = child_path(real, child.name), name = child_path(as, child.name);
      if (rest.empty())
        add_match(path, name, child);
      else
        match_below(path, name, rest);
    }
  }

  void add_match(const std::string& path, std::string as, const TreeView::Entry& entry) {
    if (!is_visible(path)) return;
    auto real = S_ISLNK(entry.st.st_mode) && follow_ ? tree_.resolve(path) : path;
    if (!real || !is_visible(*real))
      throw Error(ErrorCode::not_found, cat("\"/", path, "\": the symlink leads nowhere"));
    out_.push_back({std::move(*real), std::move(as), true});
  }

  // An ignored directory is there all the same if something below it is taken back by a negation.
  bool is_visible(const std::string& path) const {
    if (path.empty() || ignore_.empty() || !ignore_.matches(path)) return true;
    return ignore_.has_negation() && holds_visible(path);
  }

  bool holds_visible(const std::string& path) const {
    const auto entry = tree_.lookup(path);
    if (!entry || !S_ISDIR(entry->st.st_mode)) return false;
    for (const auto& child : tree_.list(path)) {
      const std::string name = child_path(path, child.name);
      if (!ignore_.matches(name) || (S_ISDIR(child.st.st_mode) && holds_visible(name))) return true;
    }
    return false;
  }

  const TreeView& tree_;
  const PathPatternList& ignore_;
  bool required_;
  bool follow_;  ///< paths and matches that are links
  std::vector<Selected> out_;
};

void expand_parents(Expansion& expansion, const std::string& asked) {
  const std::size_t pivot = asked.find(kPivot);
  const bool has_pivot = pivot != std::string::npos;
  expansion.parents(has_pivot ? relative_path(asked.substr(0, pivot)) : std::string(),
                    relative_path(has_pivot ? asked.substr(pivot + kPivot.size()) : asked));
}

}  // namespace

std::string relative_path(std::string_view path) { return clean_path(cat('/', path)).substr(1); }

std::vector<Selected> select(const TreeView& tree, const Selector& selection, const PathPatternList& ignore) {
  Expansion expansion(tree, ignore, selection.required, selection.follow);
  for (const std::string& asked : selection.paths) {
    if (selection.parents)
      expand_parents(expansion, asked);
    else if (!selection.literal && has_glob(asked))
      expansion.wildcard(relative_path(asked));
    else
      expansion.plain(relative_path(asked), relative_path(asked));
  }
  return expansion.take();
}

}  // namespace cbuild::cache
