// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::oci::registry {

/// One challenge of a WWW-Authenticate header (RFC 9110, 11.6.1).
struct Challenge {
  std::string scheme;                         ///< lower case
  std::map<std::string, std::string> params;  ///< names in lower case, values unquoted

  bool operator==(const Challenge&) const = default;
};

/// All challenges of one header value. Never fails: parts that do not parse are skipped.
std::vector<Challenge> parse_challenges(std::string_view header);

/// The access a token is asked for: "repository:library/busybox:pull,push", merged by resource.
class ScopeSet {
 public:
  ScopeSet() = default;
  static ScopeSet pull(const std::string& repository) { return ScopeSet("repository:" + repository + ":pull"); }
  static ScopeSet push(const std::string& repository) { return ScopeSet("repository:" + repository + ":pull,push"); }
  /// Blank-separated scopes, as challenges carry them. Words that are not scopes are skipped.
  explicit ScopeSet(std::string_view scopes) { add(scopes); }

  void add(std::string_view scopes);
  void add(const ScopeSet& other);
  /// Whether every access of `other` is in this set.
  bool covers(const ScopeSet& other) const;
  bool empty() const { return actions_.empty(); }
  /// Sorted, one text a resource.
  std::vector<std::string> texts() const;
  bool operator==(const ScopeSet&) const = default;

 private:
  std::map<std::string, std::set<std::string>> actions_;  ///< by "type:name"
};

}  // namespace cbuild::oci::registry
