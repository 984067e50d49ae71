// SPDX-License-Identifier: Apache-2.0
#include "engine/foreign_steps.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "base/text.h"
#include "oci/platform.h"

namespace cbuild::engine {
namespace {

using sandbox::Interpreter;

/// Empty for programs that this machine starts.
std::string foreign_architecture(const std::string& platform) {
  const std::optional<oci::Platform> parsed = oci::parse_platform(platform);
  const std::string host = oci::host_platform().architecture;
  return parsed && sandbox::is_foreign(parsed->architecture, host) ? parsed->architecture : std::string();
}

/// Each foreign platform once, in the order of the graph.
std::vector<std::string> foreign_platforms(const solver::Graph& graph, const std::vector<solver::VertexId>& targets) {
  std::vector<std::string> out;
  for (const solver::VertexId id : graph.reachable(targets)) {
    const auto* exec = std::get_if<solver::ExecOp>(&graph[id].op);
    if (exec == nullptr || std::find(out.begin(), out.end(), exec->platform) != out.end()) continue;
    if (!foreign_architecture(exec->platform).empty()) out.push_back(exec->platform);
  }
  return out;
}

/// The image that a root began as; null for scratch.
const solver::ImageSource* base_of(const solver::Graph& graph, solver::VertexId id) {
  while (id != solver::kNoInput) {
    if (const auto* image = std::get_if<solver::ImageSource>(&graph[id].op)) return image;
    if (graph[id].inputs.empty()) return nullptr;
    id = graph[id].inputs.front();
  }
  return nullptr;
}

std::string lack(const std::string& platform) {
  return cat("RUN for ", platform, ": no interpreter for its programs is registered on this machine");
}

}  // namespace

ForeignSteps::ForeignSteps(const solver::Graph& graph, const std::vector<solver::VertexId>& targets,
                           ForeignSettings settings)
    : graph_(graph), targets_(targets), settings_(std::move(settings)) {
  const std::vector<std::string> platforms = foreign_platforms(graph, targets);
  if (settings_.own_namespace) add_emulators(platforms);
  for (const std::string& platform : platforms)
    missing_[platform] =
        sandbox::find_interpreter(foreign_architecture(platform), settings_.binfmt_directory) == Interpreter::none;
}

std::vector<std::string> ForeignSteps::warnings(bool all) const {
  std::vector<std::string> out;
  std::set<std::string> told;
  for (const solver::VertexId id : graph_.reachable(targets_)) {
    const auto* exec = std::get_if<solver::ExecOp>(&graph_[id].op);
    const auto missing = exec == nullptr ? missing_.end() : missing_.find(exec->platform);
    if (missing == missing_.end() || !missing->second || (!all && refusal(id))) continue;
    if (told.insert(exec->platform).second)
      out.push_back(cat(lack(exec->platform), "; ", sandbox::interpreter_advice(foreign_architecture(exec->platform))));
  }
  return out;
}

/// An instance of our own hides the machine's, so it has to have all that the build needs, and is made only if the
/// machine's is not seen to have that.
void ForeignSteps::add_emulators(const std::vector<std::string>& platforms) {
  std::map<std::string, std::string> emulators;
  bool lacking = false;
  for (const std::string& platform : platforms) {
    const std::string architecture = foreign_architecture(platform);
    const Interpreter found = sandbox::find_interpreter(architecture, settings_.binfmt_directory);
    lacking |= found == Interpreter::none || found == Interpreter::unknown;
    if (auto emulator = sandbox::find_emulator(architecture, settings_.emulators))
      emulators[architecture] = std::move(*emulator);
    else if (found == Interpreter::present || found == Interpreter::inside)
      return;
  }
  if (!lacking || emulators.empty()) return;
  try {
    own_ = sandbox::OwnInterpreters::make();
    for (const auto& [architecture, emulator] : emulators) {
      own_->add(architecture, emulator);
      notes_.push_back(cat("programs of ", architecture, " are run by ", emulator, ", for this build only"));
    }
    settings_.binfmt_directory = own_->directory();
  } catch (const Error& error) {
    own_.reset();
    notes_.push_back(cat("no emulator could be registered for this build: ", error.what()));
  }
}

std::optional<Error> ForeignSteps::refusal(solver::VertexId id) const {
  const auto* exec = std::get_if<solver::ExecOp>(&graph_[id].op);
  if (exec == nullptr) return std::nullopt;
  const auto missing = missing_.find(exec->platform);
  if (missing == missing_.end() || !missing->second) return std::nullopt;
  const solver::ImageSource* base = graph_[id].inputs.empty() ? nullptr : base_of(graph_, graph_[id].inputs.front());
  const std::string architecture = base == nullptr ? std::string() : settings_.architecture_of(base->manifest);
  const std::string host = oci::host_platform().architecture;
  if (architecture.empty() || !sandbox::is_foreign(architecture, host)) return std::nullopt;
  return Error(ErrorCode::unsupported, lack(exec->platform)).with_hint(sandbox::interpreter_advice(architecture));
}

}  // namespace cbuild::engine
