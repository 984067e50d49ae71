// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild {

/// Go's filepath.Match on a whole '/'-separated path: `*` and `?` never cross '/', `[a-z]` and `[^a]` classes, `\`
/// escapes. nullopt when the pattern is malformed, unless, as in Go, the path already fails before the star that
/// precedes the mistake. Time at most (length of the pattern) x (length of the path).
std::optional<bool> match_glob(std::string_view pattern, std::string_view path);
/// True if the text holds an unescaped `*`, `?` or `[`.
bool has_glob(std::string_view text);
/// A name that is meant literally, for a place where wildcards are read. A name without a wildcard is read literally
/// there, backslashes included, and stays as it is.
std::string escape_glob(std::string_view name);

/// An ordered list of ignore patterns with the rules of .dockerignore (moby patternmatcher): `**` spans directories,
/// `!` negates, a pattern matches a path or any of its parents, the last match wins. Immutable, thread-safe.
class PathPatternList {
 public:
  PathPatternList();
  ~PathPatternList();
  PathPatternList(PathPatternList&&) noexcept;
  PathPatternList& operator=(PathPatternList&&) noexcept;
  PathPatternList(const PathPatternList&);
  PathPatternList& operator=(const PathPatternList&);

  /// Patterns as written, without comments; blank ones are skipped. They are trimmed and cleaned here; a leading slash
  /// stays and matches nothing (ignore files drop it when they are read). Throws Error{input} naming the pattern.
  explicit PathPatternList(const std::vector<std::string>& patterns);

  const std::vector<std::string>& patterns() const;
  bool empty() const;
  bool has_negation() const;
  /// Whether a clean relative path ("a/b", no leading slash) is matched, its parents included.
  bool matches(std::string_view path) const;
  /// Match of `path` given the verdicts of its parent directory, for walks: start with a default ParentMatch at the
  /// root and pass what the parent's call returned. Same answer as matches() in time independent of the depth.
  struct ParentMatch {
    std::vector<bool> matched;
  };
  bool matches(std::string_view path, const ParentMatch& parent, ParentMatch& self) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// A wildcard for whole paths: every name is matched as by match_glob(), and a name `**` stands for any number of
/// names, at the end of the pattern for at least one. Compiled once, matched many times. Immutable, thread-safe.
class PathGlob {
 public:
  explicit PathGlob(std::string pattern);  ///< throws Error{input} when malformed
  /// `path` is clean and relative, as are patterns, whose leading slash is dropped.
  bool matches(std::string_view path) const;
  /// Whether some path below directory `dir` could match; lets a walk skip subtrees.
  bool could_match_below(std::string_view dir) const;
  const std::string& pattern() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace cbuild
