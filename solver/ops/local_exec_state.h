// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "solver/ops/local_exec.h"
#include "solver/ops/skeleton.h"
#include "solver/ops/step_context.h"

namespace cbuild::solver::ops {

/// Shared by the commands of one build on this machine.
struct LocalExecState {
  StepContext& context;
  const LocalExecSettings settings;
  const std::string resolv_conf;
  Skeletons skeletons;
  std::mutex networks_mutex = {};                                  // guards networks
  std::unique_ptr<sandbox::network::Networks> networks = nullptr;  ///< opened when a command needs one
  std::mutex emptied_mutex = {};                                   // guards emptied
  std::set<std::string> emptied = {};  ///< cache mounts that a step without cache has begun afresh in this build
};

}  // namespace cbuild::solver::ops
