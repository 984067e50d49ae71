// SPDX-License-Identifier: Apache-2.0
// The rights of a command: the last steps before it runs.
#include <algorithm>

#include "base/text.h"
#include "sandbox/setup_parts.h"

namespace cbuild::sandbox::setup {

std::vector<std::string> path_candidates(const Spec& spec) {
  std::vector<std::string> candidates;
  const std::string& name = spec.argv[0];
  if (name.find('/') != std::string::npos) return candidates;
  for (const std::string& variable : spec.environment) {
    if (variable.rfind("PATH=", 0) != 0) continue;
    candidates.clear();  // the last one wins, as in every libc
    for (const std::string& directory : split(std::string_view(variable).substr(5), ':'))
      if (!directory.empty() && directory[0] == '/') candidates.push_back(join_path(directory, name));
  }
  return candidates;
}

std::vector<Operation> become_command(const Conditions& conditions) {
  std::vector<Operation> operations;
  const auto add = [&](Operation operation) { operations.push_back(std::move(operation)); };
  add(ProcessDefaults{});
  for (const Ulimit& limit : conditions.spec.ulimits) add(limit_step(limit));
  add(CloseDescriptors{});
  add(EnterDirectory{conditions.spec.working_dir, conditions.spec.uid, conditions.spec.gid});
  add(NewKeyring{});
  const confine::Security& security = conditions.spec.security;
  const std::uint64_t keep = conditions.capabilities();
  add(BoundCapabilities{keep, conditions.mode != Mode::chroot});
  if (!conditions.spec.insecure && security.no_new_privileges) add(NoNewPrivileges{});
  if (!conditions.spec.insecure && security.filters_calls) add(FilterSystemCalls{conditions.mode != Mode::chroot});
  std::vector<gid_t> groups = conditions.spec.additional_gids;
  if (std::find(groups.begin(), groups.end(), conditions.spec.gid) == groups.end())
    groups.insert(groups.begin(), conditions.spec.gid);
  add(SetIds{conditions.spec.uid, conditions.spec.gid, std::move(groups), conditions.traits.may_set_groups});
  add(SetCapabilities{keep, conditions.spec.insecure});
  add(Execute{conditions.spec.argv, conditions.spec.environment, path_candidates(conditions.spec)});
  return operations;
}

}  // namespace cbuild::sandbox::setup
