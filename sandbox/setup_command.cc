// SPDX-License-Identifier: Apache-2.0
// The rights of a command: the last steps before it runs.
#include <linux/capability.h>

#include <algorithm>

#include "base/text.h"
#include "sandbox/setup_parts.h"

namespace cbuild::sandbox::setup {
namespace {

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

}  // namespace

std::vector<Step> become_command(const Conditions& conditions) {
  std::vector<Step> steps;
  const auto add = [&](Step step) { steps.push_back(std::move(step)); };
  add(ProcessDefaults{});
  for (const Ulimit& limit : conditions.spec.ulimits) add(limit_step(limit));
  add(CloseDescriptors{});
  add(EnterDirectory{conditions.spec.working_dir, conditions.spec.uid, conditions.spec.gid});
  add(NewKeyring{});
  const std::uint64_t keep = conditions.spec.insecure ? ~std::uint64_t{0} : default_capabilities();
  add(BoundCapabilities{keep, conditions.mode != Mode::chroot});
  if (!conditions.spec.insecure) add(FilterSystemCalls{conditions.mode != Mode::chroot});
  std::vector<gid_t> groups = conditions.spec.additional_gids;
  if (std::find(groups.begin(), groups.end(), conditions.spec.gid) == groups.end())
    groups.insert(groups.begin(), conditions.spec.gid);
  add(SetIds{conditions.spec.uid, conditions.spec.gid, std::move(groups), conditions.traits.may_set_groups});
  add(SetCapabilities{keep, conditions.spec.insecure});
  add(Execute{conditions.spec.argv, conditions.spec.environment, path_candidates(conditions.spec)});
  return steps;
}

std::uint64_t default_capabilities() {
  std::uint64_t bits = 0;
  for (const int capability :
       {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FSETID, CAP_FOWNER, CAP_MKNOD, CAP_NET_RAW, CAP_SETGID, CAP_SETUID,
        CAP_SETFCAP, CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_KILL, CAP_AUDIT_WRITE})
    bits |= std::uint64_t{1} << capability;
  return bits;
}

}  // namespace cbuild::sandbox::setup
