// SPDX-License-Identifier: Apache-2.0
// The record of a build in the history: the request as flags without confidential values, and of each step its state,
// the reason why it ran, its times and whether it lies on the longest way to the targets.
#include "engine/history_record.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <variant>

#include "base/sys.h"
#include "base/text.h"
#include "solver/graph/step_identity.h"

namespace cbuild::engine {
namespace {

using solver::VertexId;
using solver::VertexState;

std::string state_name(VertexState state) {
  switch (state) {
    case VertexState::cached:
      return "cached";
    case VertexState::ran:
      return "ran";
    case VertexState::failed:
      return "failed";
    case VertexState::cancelled:
      return "cancelled";
    case VertexState::not_needed:
      return "not-needed";
  }
  return "";
}

std::string found_by_name(solver::FoundBy found_by) {
  switch (found_by) {
    case solver::FoundBy::definition:
      return "definition";
    case solver::FoundBy::content:
      return "content";
    case solver::FoundBy::nothing:
      return "";
  }
  return "";
}

std::string type_name(const solver::Op& op) {
  static constexpr const char* kNames[] = {"image", "local", "git", "http", "exec", "file", "merge", "diff", "output"};
  static_assert(std::size(kNames) == std::variant_size_v<solver::Op>);
  return kNames[op.index()];
}

std::uint32_t line_of(const solver::Vertex& vertex) {
  if (vertex.spans.empty() || !vertex.spans[0]) return 0;
  return vertex.spans[0].source->position(vertex.spans[0].begin).line;
}

StepEntry entry_of(const solver::Graph& graph, VertexId id, const solver::VertexReport& report, std::int64_t began_ns) {
  const solver::Vertex& vertex = graph[id];
  StepEntry step;
  step.id = id;
  step.name = solver::written_name(vertex);
  step.stage = vertex.stage;
  step.type = type_name(vertex.op);
  step.line = line_of(vertex);
  step.state = state_name(report.state);
  step.found_by = found_by_name(report.found_by);
  if (!report.key.empty()) step.key = report.key.hex();
  for (const VertexId input : vertex.inputs)
    step.inputs.push_back(input == solver::kNoInput ? -1 : std::int64_t{input});
  if (report.started_ns != 0 && report.state != VertexState::cached) {
    step.start_ns = report.started_ns - began_ns;
    step.duration_ns = std::max<std::int64_t>(report.finished_ns - report.started_ns, 0);
  }
  step.created_ns = report.created_ns;
  step.reason = report.reason;
  return step;
}

/// Fills path_ns; ids are a topological order.
void measure_paths(std::vector<StepEntry>& steps, std::size_t graph_size) {
  std::vector<std::int64_t> path(graph_size, 0);
  for (StepEntry& step : steps) {
    std::int64_t longest = 0;
    for (const std::int64_t input : step.inputs)
      if (input >= 0) longest = std::max(longest, path[static_cast<std::size_t>(input)]);
    path[step.id] = step.path_ns = longest + step.duration_ns;
  }
}

void mark_critical(const solver::Graph& graph, const std::vector<VertexId>& targets, std::vector<StepEntry>& steps) {
  std::vector<double> weights(graph.size(), 0);
  for (const StepEntry& step : steps) weights[step.id] = static_cast<double>(step.duration_ns);
  VertexId last = solver::kNoInput;
  std::int64_t longest = 0;
  for (const StepEntry& step : steps)
    if (step.path_ns > longest && std::find(targets.begin(), targets.end(), step.id) != targets.end()) {
      longest = step.path_ns;
      last = step.id;
    }
  const std::vector<VertexId> path = graph.critical_path(last, weights);
  const std::unordered_set<VertexId> on_path(path.begin(), path.end());
  for (StepEntry& step : steps) step.critical = step.duration_ns > 0 && on_path.contains(step.id);
}

std::string target_text(const BuildRequest& request) { return join(request.inputs.targets, ","); }

std::vector<std::string> output_names(const BuildRequest& request) {
  std::vector<std::string> names;
  for (const exporter::Output& output : request.outputs.list)
    for (const std::string& name : output.names)
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

}  // namespace

std::vector<StepEntry> step_entries(const solver::Graph& graph, const std::vector<VertexId>& targets,
                                    const solver::SolveReport& report, const BuildFrame& frame) {
  std::vector<StepEntry> steps;
  bool anything_ran = false;
  for (const VertexId id : graph.reachable(targets)) {
    if (id >= report.vertices.size()) continue;
    StepEntry& step = steps.emplace_back(entry_of(graph, id, report.vertices[id], frame.began_ns));
    anything_ran |= step.duration_ns > 0;
    if (frame.uses != nullptr)
      if (const auto use = frame.uses->find(id); use != frame.uses->end()) step.use = use->second;
    if (report.failure && report.failure->vertex == id) step.error = report.failure->failure.error.what();
    if (step.type != "exec" || step.duration_ns == 0) continue;
    const std::string log = cat(frame.log_directory, "/", id, ".log");
    if (log.starts_with(frame.root + "/") && sys::try_stat_at(AT_FDCWD, log))
      step.log = log.substr(frame.root.size() + 1);
  }
  if (!anything_ran) return steps;
  measure_paths(steps, graph.size());
  mark_critical(graph, targets, steps);
  return steps;
}

std::vector<std::string> describe_arguments(const BuildRequest& request) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& flag, const std::string& value) {
    if (!value.empty()) out.push_back(cat(flag, " ", value));
  };
  add("-f", spelling(request.inputs.dockerfile));
  add("--target", target_text(request));
  for (const std::string& name : output_names(request)) add("-t", name);
  for (const auto& [name, value] : request.inputs.build_args) add("--build-arg", name);
  for (const auto& [name, value] : request.inputs.labels) add("--label", name);
  for (const auto& [name, value] : request.inputs.named_contexts) add("--build-context", name);
  std::vector<std::string> platforms;
  for (const oci::Platform& platform : request.inputs.platforms) platforms.push_back(platform.str());
  add("--platform", join(platforms, ","));
  for (const Secret& secret : request.steps.secrets)
    add("--secret", cat("id=", secret.id, secret.hashed ? ",cache=hash" : ""));
  for (const SshSource& ssh : request.steps.ssh) add("--ssh", ssh.id);
  if (request.caches.none) out.emplace_back("--no-cache");
  if (!request.caches.ignored.empty()) add("--no-cache-filter", join(request.caches.ignored, ","));
  if (request.sources.pull == PullPolicy::always) out.emplace_back("--pull");
  if (request.sources.pull == PullPolicy::never) out.emplace_back("--pull=never");
  if (request.caches.only_used_args) out.emplace_back("--arg-keys=used");
  add("--network", request.steps.network);
  return out;
}

std::string build_name(const BuildRequest& request, const std::string& context) {
  if (const auto names = output_names(request); !names.empty()) return names.front();
  const std::string directory = context.empty() ? std::string("stdin") : base_name(context),
                    target = target_text(request);
  return target.empty() ? directory : cat(directory, "/", target);
}

BuildEntry describe_build_entry(const BuildRequest& request, const std::string& context) {
  BuildEntry entry;
  entry.name = build_name(request, context);
  entry.context = context;
  entry.target = target_text(request);
  entry.arguments = describe_arguments(request);
  return entry;
}

std::string status_name(const std::optional<Failure>& failure, bool cancelled) {
  if (cancelled) return "cancelled";
  if (!failure) return "ok";
  const auto* failed = std::get_if<Failed>(&*failure);
  if (failed != nullptr) return failed->part == Failed::Part::output ? "export-failed" : "failed";
  const auto* step = std::get_if<StepFailed>(&*failure);
  const bool stopped = step != nullptr && step->failure.error.code() == ErrorCode::cancelled;
  return stopped || std::holds_alternative<Cancelled>(*failure) ? "cancelled" : "failed";
}

std::string new_build_id(std::int64_t started_ns) {
  constexpr std::size_t kIdLength = 12;
  return sha256(cat("build ", started_ns, " ", getpid())).hex().substr(0, kIdLength);
}

}  // namespace cbuild::engine
