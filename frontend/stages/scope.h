// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "frontend/stages/lower_options.h"
#include "frontend/syntax/ast.h"
#include "frontend/text/expand.h"

namespace cbuild::frontend {

/// Variables in the order they were last set, which is the order a command finds in its environment. Setting and
/// finding one takes the same time however many there are.
class Variables {
 public:
  void set(std::string_view name, std::string value);
  /// The same as set() for each "NAME=value" in order, in linear time.
  void set_all(std::span<const std::string> assignments);
  void erase(std::string_view name);
  /// nullptr: unset.
  const std::string* find(std::string_view name) const;
  std::vector<std::string> names() const;
  /// "NAME=value", in order.
  std::vector<std::string> assignments() const;
  /// A view for expansion; lives as long as this object.
  Environment environment() const;

  bool operator==(const Variables& other) const { return assignments() == other.assignments(); }

 private:
  void drop_gaps();

  std::vector<std::optional<std::pair<std::string, std::string>>> entries_;  // empty: was set again later, or erased
  std::unordered_map<std::string, std::size_t> places_;                      // of those that are not empty
};

/// Name and value of "NAME=value"; the value is empty where there is no "=".
std::pair<std::string_view, std::string_view> split_assignment(std::string_view entry);

/// An ARG that a stage has executed. Without a value it is declared but not in the environment.
struct DeclaredArg {
  std::string name;
  std::optional<std::string> value;

  bool operator==(const DeclaredArg&) const = default;
};

/// Variables of the whole file: automatic platform arguments and the ARGs above the first FROM, with the user's values.
struct GlobalScope {
  Variables args;
  std::map<std::string, std::string> build_args;  ///< the user's, SOURCE_DATE_EPOCH resolved to a number
  std::optional<std::int64_t> source_date_epoch;
};

/// Evaluates the global scope. Throws DiagnosticError.
GlobalScope make_global_scope(const Dockerfile& dockerfile, const LowerOptions& options);
/// The global arguments as they would be if no build argument but those for automatic ones was given. Throws
/// DiagnosticError.
Variables default_global_args(const Dockerfile& dockerfile, const LowerOptions& options);

/// The variables of a stage at one point of it, from its ARGs and ENVs. In the environment the last one executed wins,
/// be it ARG or ENV.
struct StageScope {
  Variables variables;
  std::vector<DeclaredArg> declared;

  bool operator==(const StageScope&) const = default;
};

/// Executes one item of an ARG instruction: the user's value, else the default (evaluated only then), else the global
/// scope's value. Returns the text for history ("name" or "name=value"). `unset` gets the names that the default uses
/// without their having a value.
std::string declare_arg(StageScope& scope, const ArgInstruction::Item& item, const GlobalScope& globals, char escape,
                        std::vector<std::string>* unset = nullptr);

/// Environment entries for the proxies among the user's build arguments, in upper and lower case.
std::vector<std::string> proxy_environment(const std::map<std::string, std::string>& build_args);

}  // namespace cbuild::frontend
