// SPDX-License-Identifier: Apache-2.0
// RUN --device: which of the requested CDI devices the user's --allow grants, and the changes that a granted one makes
// to the spec of the sandbox (variables, device nodes, groups, mounts). All names that are not granted are refused
// together, so that one run shows the whole list. Hooks of a device are not run, and said.
#include "solver/ops/exec_devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::solver::ops {
namespace {

constexpr std::string_view kEntitlement = "device", kRequired = ",required";

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void add_new(std::vector<std::string>& to, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (!contains(to, name)) to.push_back(name);
}

/// "NAME[,alias=OTHER]": OTHER of the Dockerfile means NAME.
void add_grant(const std::string& text, DeviceGrants& grants) {
  const std::vector<std::string> fields = split(text, ',');
  std::string alias;
  for (std::size_t i = 1; i < fields.size(); ++i) {
    if (!fields[i].starts_with("alias="))
      throw Error(ErrorCode::usage, cat("--allow device=", text, ": unknown field '", fields[i], "'"))
          .with_hint("device=NAME,alias=NAME");
    alias = fields[i].substr(6);
  }
  if (alias.empty())
    grants.names.push_back(fields[0]);
  else
    grants.aliases[alias] = fields[0];
}

std::vector<std::string> find_device(const DeviceRequest& request, const std::string& name,
                                     const sandbox::cdi::Registry& registry) {
  std::vector<std::string> found = registry.find(name);
  if (found.empty() && request.required)
    throw Error(ErrorCode::not_found, cat("required device ", go_quote(name), " is not registered"))
        .with_hint(registry.problems().empty() ? "its CDI file should be in /etc/cdi or /var/run/cdi"
                                               : join(registry.problems(), "; "));
  return found;
}

[[noreturn]] void refuse(const std::vector<std::string>& forbidden) {
  const bool one = forbidden.size() == 1;
  throw Error(ErrorCode::denied, cat(one ? "device " : "devices ", join(forbidden, ", "), one ? " is" : " are",
                                     " requested by the build but not allowed"))
      .with_hint(cat("pass --allow device=", forbidden.front(), ", or --allow device for all"));
}

/// Fields that a file leaves open are taken from the machine's node.
sandbox::DeviceNode complete(sandbox::DeviceNode node) {
  if (node.type == 'p' || (node.type != '\0' && (node.major != 0 || node.minor != 0))) return node;
  const std::string& path = node.host_path.empty() ? node.path : node.host_path;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) throw_errno(errno, cat("device ", path));
  if (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode)) throw Error(ErrorCode::input, cat(path, " is not a device"));
  node.type = S_ISBLK(info.st_mode) ? 'b' : 'c';
  node.major = major(info.st_rdev);
  node.minor = minor(info.st_rdev);
  return node;
}

void add_mount(const sandbox::cdi::HostMount& mount, sandbox::Spec& spec, std::vector<UniqueFd>& descriptors) {
  descriptors.push_back(sys::open_at(AT_FDCWD, mount.host_path, O_PATH));
  spec.mounts.push_back({.target = mount.container_path,
                         .source = sandbox::BindSource{descriptors.back().get()},
                         .read_only = mount.read_only,
                         .no_suid = mount.no_suid,
                         .no_dev = mount.no_dev,
                         .no_exec = mount.no_exec});
}

}  // namespace

DeviceGrants parse_device_grants(const std::vector<std::string>& allow) {
  DeviceGrants grants;
  for (const std::string& text : allow) {
    if (text == kEntitlement) grants.all = true;
    if (text.starts_with(cat(kEntitlement, "="))) add_grant(text.substr(kEntitlement.size() + 1), grants);
  }
  return grants;
}

std::vector<std::string> granted_devices(const std::vector<DeviceRequest>& requests, const DeviceGrants& grants,
                                         const sandbox::cdi::Registry& registry) {
  std::vector<std::string> granted, asked;
  for (const DeviceRequest& request : requests) {
    const auto alias = grants.aliases.find(request.name);
    const bool known = alias != grants.aliases.end();
    add_new(known ? granted : asked, find_device(request, known ? alias->second : request.name, registry));
  }
  std::vector<std::string> permitted, forbidden;
  for (const std::string& name : grants.names) add_new(permitted, registry.find(name));
  for (const std::string& name : asked) {
    if (grants.all || contains(permitted, name) || registry.is_auto_allowed(name))
      add_new(granted, {name});
    else
      forbidden.push_back(name);
  }
  if (!forbidden.empty()) refuse(forbidden);
  return granted;
}

void apply_edits(const sandbox::cdi::Edits& edits, sandbox::Spec& spec, std::vector<UniqueFd>& descriptors) {
  for (const std::string& entry : edits.environment) set_variable(spec.environment, entry);
  for (const sandbox::DeviceNode& node : edits.nodes) {
    std::erase_if(spec.devices, [&](const sandbox::DeviceNode& other) { return other.path == node.path; });
    spec.devices.push_back(complete(node));
  }
  for (const gid_t gid : edits.additional_gids)
    if (std::find(spec.additional_gids.begin(), spec.additional_gids.end(), gid) == spec.additional_gids.end())
      spec.additional_gids.push_back(gid);
  for (const sandbox::cdi::HostMount& mount : edits.mounts) add_mount(mount, spec, descriptors);
}

std::vector<std::string> add_devices(const ExecOp& op, const LocalExecSettings& settings, sandbox::Spec& spec,
                                     std::vector<UniqueFd>& descriptors) {
  if (op.devices.empty()) return {};
  std::vector<DeviceRequest> requests;
  for (const std::string& text : op.devices) {
    const bool required = text.ends_with(kRequired);
    requests.push_back({text.substr(0, text.size() - (required ? kRequired.size() : 0)), required});
  }
  const auto& directories =
      settings.cdi_directories.empty() ? sandbox::cdi::kDefaultDirectories : settings.cdi_directories;
  const auto registry = sandbox::cdi::Registry::load(directories);
  const std::vector<std::string> names = granted_devices(requests, parse_device_grants(settings.allow), registry);
  const sandbox::cdi::Edits edits = registry.edits(names);
  apply_edits(edits, spec, descriptors);
  std::vector<std::string> notes;
  for (const std::string& hook : edits.hooks) notes.push_back(cat("hook ", hook, " of a CDI device is not run"));
  return notes;
}

}  // namespace cbuild::solver::ops
