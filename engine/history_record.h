// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/build_entry.h"
#include "engine/request/request.h"
#include "engine/result.h"
#include "solver/scheduler.h"

namespace cbuild::engine {

/// Start and places of a build, to which its times and logs are relative.
struct BuildFrame {
  std::int64_t began_ns = 0;                                      ///< monotonic start of the build
  std::string root, log_directory;                                ///< of the store; where step N's log is N.log
  const std::map<solver::VertexId, ResourceUse>* uses = nullptr;  ///< of the commands that ran; null: of none
};

/// The part of a solve that history keeps: the steps that `targets` reach, with their states, reasons, times and the
/// longest way.
std::vector<StepEntry> step_entries(const solver::Graph& graph, const std::vector<solver::VertexId>& targets,
                                    const solver::SolveReport& report, const BuildFrame& frame);

/// The request as flags for people, without anything that may be confidential: "--build-arg VERSION", "--secret
/// id=token".
std::vector<std::string> describe_arguments(const BuildRequest& request);

/// A name for the build: the first name of an output, else the directory of the context and the targets.
std::string build_name(const BuildRequest& request, const std::string& context);

/// An entry with the fields that follow from the request: name, context, target, arguments.
BuildEntry describe_build_entry(const BuildRequest& request, const std::string& context);

/// "ok", "failed", "cancelled", "export-failed"; `cancelled`: whether the build was, whatever it failed with.
std::string status_name(const std::optional<Failure>& failure, bool cancelled);

/// A fresh id: 12 lower-case letters and digits, different for every build on this machine.
std::string new_build_id(std::int64_t started_ns);

}  // namespace cbuild::engine
