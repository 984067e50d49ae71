// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bake/target.h"

namespace cbuild::bake {

/// A variable as `--list=variables` shows it.
struct VariableInfo {
  std::string name, description, type;  ///< type: empty if the file gives none
  std::optional<std::string> value;     ///< nullopt: null
};

/// All bake files of a run, before targets inherit from each other.
struct Config {
  std::vector<Group> groups;
  std::vector<Target> targets;
  std::vector<VariableInfo> variables;  ///< by name
};

/// The first of that name; null if there is none.
const Group* find_group(const Config& config, const std::string& name);
const Target* find_target(const Config& config, const std::string& name);

/// Where the values of variables come from besides the files.
struct VariableSources {
  std::map<std::string, std::string> given;        ///< --var; wins
  std::map<std::string, std::string> environment;  ///< of the process; empty where it is not to count
  std::map<std::string, std::string> builtin;      ///< BAKE_CMD_CONTEXT and so on, which nothing overrides
};

/// Throws hcl::ValueError unless the name has only letters, digits, "_" and "-".
void check_target_name(const std::string& name);

}  // namespace cbuild::bake
