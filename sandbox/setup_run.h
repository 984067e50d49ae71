// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/filter.h>
#include <sys/resource.h>

#include <cstdint>
#include <vector>

#include "sandbox/setup.h"

namespace cbuild::sandbox::setup {

/// Why the command could not be started.
enum class ExecFailure : std::uint8_t { none, not_in_path, not_found, not_executable, exec_failed };

/// The child's message on its report pipe when a step fails; the pipe's silent end means that exec happened.
struct Report {
  std::uint32_t operation = 0;
  std::int32_t error = 0;
  ExecFailure exec_failure = ExecFailure::none;
  char message[200] = {};  ///< the kernel's own words, if it had any
};

/// Everything a child needs, made before it is cloned, so that it allocates nothing.
struct Child {
  explicit Child(const OperationList& plan);

  const OperationList& plan;
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;
  int report_fd = -1;
  int mount_template = -1;        ///< descriptor of a MountTemplate
  const char* scratch = nullptr;  ///< a directory on which trees are attached for a moment
  const sock_fprog* filter = nullptr;
  rlimit open_files{};  ///< the caller's
  std::vector<int> slots;
  std::vector<char*> argv, environment;
};

/// Carries out the plan in the process that was cloned for it; ends in the command or in a report and
/// exit(125).
[[noreturn]] void run_setup(Child& child);

}  // namespace cbuild::sandbox::setup
