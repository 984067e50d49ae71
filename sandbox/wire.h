// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/fd.h"
#include "sandbox/runner.h"
#include "sandbox/setup_run.h"
#include "sandbox/spec.h"

/// The messages between runner and zygote. Both are the same program, so the form is private and has no version; it is
/// checked all the same, because a wrong length would be a crash of the process that holds everybody's steps.
namespace cbuild::sandbox::wire {

enum class DeviceControl : std::uint8_t { automatic, cgroup_v1, none };

/// First message: how steps are run from now on.
struct Configure {
  Mode mode = Mode::root;
  DeviceControl device_control = DeviceControl::automatic;
  bool layers_in_place = false;  ///< as on kernels before 6.5
};
/// Descriptors: stdout, stderr, then those of the spec.
struct Run {
  std::uint64_t id = 0;
  Spec spec;
};
struct Signal {
  std::uint64_t id = 0;
  std::int32_t number = 0;
};
using Request = std::variant<Configure, Run, Signal>;

/// A step has ended.
struct Ended {
  std::uint64_t id = 0;
  std::int32_t wait_status = 0;
  ResourceUse use;
  setup::ExecFailure exec_failure = setup::ExecFailure::none;
  std::string failure;                     ///< why setup or exec failed; empty if the command ran
  SetupFault fault = SetupFault::machine;  ///< counts only if setup failed
};

/// `descriptors` receives the numbers that go along with the message, in the order decode_request() wants
/// them.
std::string encode(const Request& request, std::vector<int>& descriptors);
/// The spec's descriptors become numbers of `descriptors`, which the caller keeps. Throws Error{internal}.
Request decode_request(std::string_view data, const std::vector<UniqueFd>& descriptors);

std::string encode(const Ended& ended);
Ended decode_ended(std::string_view data);

}  // namespace cbuild::sandbox::wire
