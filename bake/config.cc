// SPDX-License-Identifier: Apache-2.0
#include "bake/config.h"

#include <algorithm>

#include "bake/hcl/convert.h"
#include "base/text.h"

namespace cbuild::bake {

const Group* find_group(const Config& config, const std::string& name) {
  for (const Group& group : config.groups)
    if (group.name == name) return &group;
  return nullptr;
}

const Target* find_target(const Config& config, const std::string& name) {
  for (const Target& target : config.targets)
    if (target.name == name) return &target;
  return nullptr;
}

void check_target_name(const std::string& name) {
  const bool valid = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return c == '_' || c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
  if (!valid)
    throw hcl::ValueError(cat("invalid name ", go_quote(name), ", only letters, digits, _ and - are allowed"));
}

}  // namespace cbuild::bake
