// SPDX-License-Identifier: Apache-2.0
// Parses WWW-Authenticate and token scopes. The grammar of the header is ambiguous: a comma separates parameters as
// well as challenges, and credentials may stand in one piece (RFC 9110, 11.6.1). A name followed by '=' is taken as a
// parameter. Scopes are sets, so a token granted for more can be used for less.
#include "oci/registry/challenge.h"

#include <algorithm>

#include "base/text.h"

namespace cbuild::oci::registry {

namespace {

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// Walks a header value. A name followed by '=' is a parameter, any other name begins a challenge.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  std::vector<Challenge> run() {
    std::vector<Challenge> out;
    while (skip_separators()) {
      const std::string name = to_lower(token());
      if (name.empty()) {
        rest_.remove_prefix(1);
      } else if (out.empty() || !at_equals()) {
        out.push_back({name, {}});
        skip_token68();
      } else {
        out.back().params.emplace(name, value());
      }
    }
    return out;
  }

 private:
  bool skip_separators() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t,"), rest_.size()));
    return !rest_.empty();
  }

  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }

  std::string_view token() {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_token_char);
    const std::string_view out = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(out.size());
    return out;
  }

  bool at_equals() {
    skip_blanks();
    return rest_.starts_with('=');
  }

  /// "Negotiate YIIC...==": credentials in one piece instead of parameters.
  void skip_token68() {
    skip_blanks();
    const std::size_t length = std::min(rest_.find_first_of(" \t,"), rest_.size());
    const std::string_view word = rest_.substr(0, length);
    const std::size_t equals = word.find('=');
    const bool all_padding = equals != std::string_view::npos &&
                             word.find_first_not_of('=', equals) == std::string_view::npos && length > equals + 1;
    const bool slashed = word.substr(0, equals).find('/') != std::string_view::npos;
    if (all_padding || slashed) rest_.remove_prefix(length);
  }

  std::string value() {
    rest_.remove_prefix(1);
    skip_blanks();
    if (!rest_.starts_with('"')) {
      // Some registries leave out the quotes around URLs, so more than a token is taken.
      const std::size_t length = std::min(rest_.find_first_of(" \t,"), rest_.size());
      std::string out(rest_.substr(0, length));
      rest_.remove_prefix(length);
      return out;
    }
    std::string out;
    std::size_t i = 1;
    for (; i < rest_.size() && rest_[i] != '"'; ++i) {
      if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
      out += rest_[i];
    }
    rest_.remove_prefix(std::min(i + 1, rest_.size()));
    return out;
  }

  std::string_view rest_;
};

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view header) { return Scanner(header).run(); }

void ScopeSet::add(std::string_view scopes) {
  for (const std::string& scope : split(scopes, ' ')) {
    // The name may hold colons of its own ("host:5000/app"): type up to the first, actions after the last.
    const std::size_t first = scope.find(':'), last = scope.rfind(':');
    if (first == std::string::npos || first == last) continue;
    std::set<std::string>& actions = actions_[scope.substr(0, last)];
    for (const std::string& action : split(std::string_view(scope).substr(last + 1), ',')) {
      if (!action.empty()) actions.insert(action);
    }
  }
}

void ScopeSet::add(const ScopeSet& other) {
  for (const auto& [resource, actions] : other.actions_) actions_[resource].insert(actions.begin(), actions.end());
}

bool ScopeSet::covers(const ScopeSet& other) const {
  return std::all_of(other.actions_.begin(), other.actions_.end(), [&](const auto& wanted) {
    const auto mine = actions_.find(wanted.first);
    return mine != actions_.end() &&
           std::includes(mine->second.begin(), mine->second.end(), wanted.second.begin(), wanted.second.end());
  });
}

std::vector<std::string> ScopeSet::texts() const {
  std::vector<std::string> out;
  for (const auto& [resource, actions] : actions_) {
    const std::vector<std::string> list(actions.begin(), actions.end());
    out.push_back(resource + ":" + join(list, ","));
  }
  return out;
}

}  // namespace cbuild::oci::registry
