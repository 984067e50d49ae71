// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/bpf.h>

#include <span>
#include <string>
#include <vector>

#include "sandbox/spec.h"

namespace cbuild::sandbox {

/// A device that a step may open. Making nodes is always allowed: they are content of the layer.
struct DeviceRule {
  char type = 'c';  ///< 'c' or 'b'
  int major = 0;
  int minor = -1;  ///< -1: every one
  bool may_read = true, may_write = true;
};

/// null, zero, full, random, urandom, tty, ptmx, pts/*, and those of the spec.
std::vector<DeviceRule> device_rules(const Spec& spec);

/// Lines for devices.allow of cgroup v1, after "a" was written to devices.deny.
std::vector<std::string> devices_allow_lines(std::span<const DeviceRule> rules);

/// A BPF_PROG_TYPE_CGROUP_DEVICE program that allows the same.
std::vector<bpf_insn> device_program(std::span<const DeviceRule> rules);

}  // namespace cbuild::sandbox
