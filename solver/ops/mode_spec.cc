// SPDX-License-Identifier: Apache-2.0
// COPY --chmod and ADD --chmod: octal, or symbolic as chmod(1) reads it. A symbolic mode is parsed once and applied to
// each file, since "X" and "g=u" depend on the mode that the file has.
#include "solver/ops/mode_spec.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::solver::ops {
namespace {

/// One "who op permissions" of a clause; `who` as a mask of the three classes, spread over 0777 and the special bits.
struct Action {
  bool user = false, group = false, other = false;
  char op = '=';
  std::string permissions;
};

[[noreturn]] void bad_mode(std::string_view text) {
  throw Error(ErrorCode::input,
              cat("invalid chmod parameter: '", text, "'. it should be octal string and between 0 and 07777"))
      .with_hint("or a symbolic mode as chmod(1) takes it, for example u=rwX,go=rX");
}

std::vector<Action> parse_clause(std::string_view clause, std::string_view whole) {
  Action who;
  std::size_t i = 0;
  for (; i < clause.size() && std::string_view("ugoa").find(clause[i]) != std::string_view::npos; ++i) {
    if (clause[i] == 'u' || clause[i] == 'a') who.user = true;
    if (clause[i] == 'g' || clause[i] == 'a') who.group = true;
    if (clause[i] == 'o' || clause[i] == 'a') who.other = true;
  }
  if (i == 0) who.user = who.group = who.other = true;
  std::vector<Action> actions;
  while (i < clause.size()) {
    Action action = who;
    action.op = clause[i++];
    if (action.op != '+' && action.op != '-' && action.op != '=') bad_mode(whole);
    const std::size_t begin = i;
    while (i < clause.size() && std::string_view("+-=").find(clause[i]) == std::string_view::npos) ++i;
    action.permissions = clause.substr(begin, i - begin);
    if (action.permissions.find_first_not_of("rwxXstugo") != std::string::npos) bad_mode(whole);
    actions.push_back(std::move(action));
  }
  if (actions.empty()) bad_mode(whole);
  return actions;
}

/// The rwx bits (0-7) an action's permission letters stand for, given the mode now and before all actions.
mode_t permission_bits(const Action& action, mode_t old_mode, mode_t before, bool directory) {
  mode_t bits = 0;
  for (const char c : action.permissions) {
    switch (c) {
      case 'r':
        bits |= 4;
        break;
      case 'w':
        bits |= 2;
        break;
      case 'x':
        bits |= 1;
        break;
      case 'X':
        bits |= (directory || (before & 0111)) ? 1u : 0u;
        break;
      case 'u':
        bits |= (old_mode >> 6) & 7;
        break;
      case 'g':
        bits |= (old_mode >> 3) & 7;
        break;
      case 'o':
        bits |= old_mode & 7;
        break;
      default:
        break;
    }
  }
  return bits;
}

/// As BuildKit does, which follows BSD's chmod(1): "=" takes the setuid and setgid bits of its classes away, of
/// directories too, except where it copies another class ("u=g"), and leaves the sticky bit unless it is named.
/// `before` is the mode before all actions.
mode_t apply(const Action& action, mode_t mode, mode_t before, bool directory) {
  const mode_t bits = permission_bits(action, mode, before, directory);
  const bool special = action.permissions.find('s') != std::string::npos;
  const bool sticky = (action.user || action.group) && action.permissions.find('t') != std::string::npos;
  mode_t value = 0, mask = 0;
  const bool copies = !action.permissions.empty() && action.permissions.find_first_not_of("ugo") == std::string::npos;
  if (action.user) value |= bits << 6 | (special ? 04000u : 0u), mask |= copies ? 00700 : 04700;
  if (action.group) value |= bits << 3 | (special ? 02000u : 0u), mask |= copies ? 00070 : 02070;
  if (action.other) value |= bits, mask |= 00007;
  if (sticky) value |= 01000;
  if (sticky) mask |= 01000;
  switch (action.op) {
    case '+':
      return mode | value;
    case '-':
      return mode & ~value;
    default:
      return (mode & ~mask) | value;
  }
}

}  // namespace

bool is_octal_mode(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

ModeChange parse_mode_change(std::string_view text) {
  if (text.empty()) return [](mode_t mode, bool) { return mode & 07777; };
  if (text.front() >= '0' && text.front() <= '9') {
    const auto value = parse_int(text, 8);
    if (!value || *value < 0 || *value > 07777) bad_mode(text);
    return [mode = static_cast<mode_t>(*value)](mode_t, bool) { return mode; };
  }
  std::vector<Action> actions;
  for (const std::string& clause : split(text, ','))
    for (Action& action : parse_clause(clause, text)) actions.push_back(std::move(action));
  return [actions](mode_t mode, bool directory) {
    mode &= 07777;
    const mode_t before = mode;
    for (const Action& action : actions) mode = apply(action, mode, before, directory);
    return mode;
  };
}

}  // namespace cbuild::solver::ops
