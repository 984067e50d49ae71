// SPDX-License-Identifier: Apache-2.0
// Operations on whole trees (lowering.h): stacks of layers, their difference, a definition that is itself a file of a
// result, and results handed on as they are.
#include <algorithm>
#include <set>

#include "api/llb/lowering.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr char kDefinitionInput[] = "buildkit.llb.definition";
constexpr char kFileName[] = "llbbuild.filename";

/// What a definition in a file needs to be read.
frontend::LoweredTargets file_holder(const OpLowering& lowering, solver::VertexId tree) {
  frontend::LoweredTargets out;
  frontend::LoweredTarget target;
  target.platform = lowering.platform();
  target.result = import_vertex(out.graph, lowering.build.graph, tree);
  out.targets.push_back(std::move(target));
  return out;
}

pb::Definition read_definition(const OpLowering& lowering) {
  const DecodedOp& op = lowering.op;
  const pb::BuildOp& build = op.op.build();
  const auto input = build.inputs().find(kDefinitionInput);
  if (input == build.inputs().end()) reject(op, "build.inputs", cat("there is none called ", kDefinitionInput));
  if (!lowering.build.options.callbacks.read_file)
    reject(op, "build.inputs", "definitions in files cannot be read here");
  const auto name = build.attrs().find(kFileName);
  const std::string path = name == build.attrs().end() ? cat("/", kDefinitionInput) : join_path("/", name->second);
  const solver::VertexId tree = lowering.tree(input->second.input(), "build.inputs");
  pb::Definition out;
  if (!out.ParseFromString(lowering.build.options.callbacks.read_file(file_holder(lowering, tree), path)))
    reject(op, "build.inputs", cat(path, " is not a protobuf message of type pb.Definition"));
  return out;
}

}  // namespace

std::vector<solver::VertexId> lower_merge(const OpLowering& lowering) {
  std::vector<solver::VertexId> inputs;
  for (const pb::MergeInput& merged : lowering.op.op.merge().inputs()) {
    const solver::VertexId input = lowering.tree(merged.input(), "merge.inputs");
    if (input != solver::kNoInput) inputs.push_back(input);
  }
  if (inputs.empty()) return {solver::kNoInput};
  if (inputs.size() == 1) return {inputs.front()};
  return {lowering.add(solver::MergeOp{}, std::move(inputs))};
}

std::vector<solver::VertexId> lower_diff(const OpLowering& lowering) {
  const pb::DiffOp& diff = lowering.op.op.diff();
  if (!diff.has_lower() || !diff.has_upper()) reject(lowering.op, "diff", "it needs a lower and an upper side");
  const solver::VertexId lower = lowering.tree(diff.lower().input(), "diff.lower.input");
  const solver::VertexId upper = lowering.tree(diff.upper().input(), "diff.upper.input");
  if (lower == solver::kNoInput) return {upper};
  if (lower == upper) return {solver::kNoInput};
  return {lowering.add(solver::DiffOp{}, {lower, upper})};
}

std::vector<solver::VertexId> lower_build(const OpLowering& lowering) {
  const DecodedOp& op = lowering.op;
  const pb::BuildOp& build = op.op.build();
  if (build.builder() != -1) reject(op, "build.builder", cat(build.builder(), ": only -1, this builder, can be asked"));
  for (const auto& [name, value] : build.attrs())
    if (name != kFileName)
      reject(op, cat("build.attrs[", go_quote(name), "]"), cat("unknown attribute with the value ", go_quote(value)));
  return {
      lowering.build.lower(build.has_def() && build.def().def_size() > 0 ? build.def() : read_definition(lowering))};
}

std::vector<solver::VertexId> lower_passthrough(const OpLowering& lowering) {
  const pb::PassthroughOp& passed = lowering.op.op.passthrough();
  if (passed.id().empty()) reject(lowering.op, "passthrough.id", "it is empty");
  if (passed.outputs().empty()) reject(lowering.op, "passthrough.outputs", "there is none");
  std::vector<solver::VertexId> out;
  for (const std::int64_t output : passed.outputs()) {
    if (output < 0) reject(lowering.op, "passthrough.outputs", cat("input ", output));
    out.push_back(lowering.input(output, "passthrough.outputs"));
  }
  return out;
}

}  // namespace cbuild::api
