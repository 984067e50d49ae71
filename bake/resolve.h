// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "bake/config.h"
#include "bake/overrides.h"

namespace cbuild::bake {

/// What a run builds: whole targets, and the groups that the names stand for.
struct Resolved {
  std::map<std::string, Group> groups;
  std::map<std::string, Target> targets;
  Grants grants;
};

/// The targets that `names` stand for, each with what it inherits and what --set gives, and the targets that their
/// contexts link to. A name may be a group or a pattern. Throws Error{usage}, Error{input} or Error{not_found}.
Resolved resolve(const Config& config, const Strings& names, const Strings& set_flags,
                 const std::map<std::string, std::string>& environment);

}  // namespace cbuild::bake
