// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::engine {

/// A source as policies see it: "docker-image://docker.io/library/busybox:latest", "https://host/file",
/// "git://host/repository.git#ref", with attributes such as "http.checksum".
struct PolicySource {
  std::string identifier;
  std::map<std::string, std::string> attributes;

  bool operator==(const PolicySource&) const = default;
};

/// The file that EXPERIMENTAL_BUILDKIT_SOURCE_POLICY names: rules that allow, deny or convert sources, as BuildKit's
/// sourcepolicy reads them (JSON form). Of the rules that allow or deny a source the last one decides; one that changes
/// it starts over.
class SourcePolicy {
 public:
  /// Throws Error{input}.
  static SourcePolicy parse(std::string_view json);

  /// The source to use instead. Throws Error{denied} for one that the rules deny, Error{input} when they convert it
  /// without end.
  PolicySource apply(PolicySource source) const;

 private:
  enum class Action { allow, deny, convert };
  enum class Match { wildcard, exact, regex };
  enum class Condition { equal, not_equal, matches };
  struct Constraint {
    std::string key, value;
    Condition condition = Condition::equal;
  };
  struct Rule {
    Action action = Action::allow;
    Match match = Match::wildcard;
    std::string identifier, expression;  ///< as written, and as a regular expression
    std::vector<Constraint> constraints;
    bool has_update = false;
    PolicySource update;
  };

  static bool matches(const Rule& rule, const PolicySource& source);
  static bool convert(const Rule& rule, PolicySource& source);
  bool apply_once(PolicySource& source) const;

  std::vector<Rule> rules_;
  friend struct PolicyReader;
};

}  // namespace cbuild::engine
