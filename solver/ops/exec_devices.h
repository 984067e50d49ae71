// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "sandbox/cdi/cdi.h"
#include "sandbox/spec.h"
#include "solver/graph/op.h"
#include "solver/ops/local_exec.h"

namespace cbuild::solver::ops {

/// A device by its CDI name or class; without `required` it may be missing.
struct DeviceRequest {
  std::string name;
  bool required = false;
};

/// The devices that --allow grants.
struct DeviceGrants {
  bool all = false;
  std::vector<std::string> names;              ///< as requests: by name, kind, wildcard or class
  std::map<std::string, std::string> aliases;  ///< name in the Dockerfile -> device that stands for it
};

/// The device part of the --allow values; others are passed over. Throws Error{usage} for "device=NAME,..." with
/// unknown keys.
DeviceGrants parse_device_grants(const std::vector<std::string>& allow);

/// Qualified names of the devices of `requests`. Throws Error{not_found} for a required device that is not there and
/// Error{denied} for one that neither --allow nor its own file permits.
std::vector<std::string> granted_devices(const std::vector<DeviceRequest>& requests, const DeviceGrants& grants,
                                         const sandbox::cdi::Registry& registry);

/// Puts `edits` into `spec`: variables replace those of the same name, nodes and mounts come last. Sources of mounts
/// are opened into `descriptors`, which must outlive the start of the step. Numbers that are left open come from the
/// machine's nodes. Throws Error.
void apply_edits(const sandbox::cdi::Edits& edits, sandbox::Spec& spec, std::vector<UniqueFd>& descriptors);

/// Gives a step the devices that its op asks for ("NAME" or "NAME,required"). Returns a line for its log for each part
/// that is left out. Throws Error.
std::vector<std::string> add_devices(const ExecOp& op, const LocalExecSettings& settings, sandbox::Spec& spec,
                                     std::vector<UniqueFd>& descriptors);

}  // namespace cbuild::solver::ops
