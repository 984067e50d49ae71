// SPDX-License-Identifier: Apache-2.0
#include "api/llb/lowering.h"

#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr unsigned kMaxDepth = 16;

std::vector<solver::VertexId> outputs_of(const OpLowering& lowering) {
  const pb::Op& op = lowering.op.op;
  switch (op.op_case()) {
    case pb::Op::kExec:
      return lower_exec(lowering);
    case pb::Op::kSource:
      return lower_source(lowering);
    case pb::Op::kFile:
      return lower_file(lowering);
    case pb::Op::kBuild:
      return lower_build(lowering);
    case pb::Op::kMerge:
      return lower_merge(lowering);
    case pb::Op::kDiff:
      return lower_diff(lowering);
    case pb::Op::kPassthrough:
      return lower_passthrough(lowering);
    case pb::Op::OP_NOT_SET:
      break;
  }
  reject(lowering.op, "op", "the operation does nothing");
}

bool has_context(const Error& error, const std::string& place) {
  return std::string_view(error.what()).starts_with(place);
}

std::vector<solver::VertexId> outputs_with_place(const OpLowering& lowering) {
  try {
    return outputs_of(lowering);
  } catch (Error& error) {
    if (const std::string place = place_of(lowering.op); !has_context(error, place)) error.add_context(place);
    throw;
  }
}

solver::VertexId output(const DecodedOp& reader, const std::vector<solver::VertexId>& outputs, std::int64_t index) {
  if (index < 0 || static_cast<std::size_t>(index) >= outputs.size())
    reject(reader, "inputs", cat("output ", index, " of an operation that has ", outputs.size()));
  return outputs[static_cast<std::size_t>(index)];
}

}  // namespace

solver::VertexId Lowering::lower(const pb::Definition& definition) {
  if (depth >= kMaxDepth) throw Error(ErrorCode::input, "LLB definition: too many definitions within definitions");
  const Decoded decoded = decode(definition);
  if (decoded.ops.empty()) return solver::kNoInput;
  ++depth;
  std::vector<std::vector<solver::VertexId>> outputs;
  for (const DecodedOp& op : decoded.ops) {
    OpLowering lowering{*this, op, {}};
    for (std::size_t i = 0; i < op.inputs.size(); ++i)
      lowering.inputs.push_back(output(op, outputs[op.inputs[i]], op.op.inputs(static_cast<int>(i)).index()));
    outputs.push_back(outputs_with_place(lowering));
  }
  --depth;
  return as_tree(output(decoded.ops.back(), outputs.back(), decoded.output));
}

solver::VertexId Lowering::as_tree(solver::VertexId id) {
  if (id == solver::kNoInput || !std::holds_alternative<solver::LocalSource>(graph[id].op)) return id;
  solver::CopyAction copy;
  copy.sources = {"."};
  copy.destination = "/";
  solver::Vertex vertex;
  vertex.op = solver::FileOp{{copy}};
  vertex.inputs = {solver::kNoInput, id};
  vertex.name = graph[id].name;
  vertex.spans = graph[id].spans;
  return graph.add(std::move(vertex));
}

solver::VertexId OpLowering::input(std::int64_t index, std::string_view field) const {
  if (index == -1) return solver::kNoInput;
  if (index < 0 || static_cast<std::size_t>(index) >= inputs.size())
    reject(op, field, cat("input ", index, " of ", inputs.size()));
  return inputs[static_cast<std::size_t>(index)];
}

solver::VertexId OpLowering::tree(std::int64_t index, std::string_view field) const {
  return build.as_tree(input(index, field));
}

oci::Platform OpLowering::platform() const {
  if (!op.op.has_platform()) return oci::normalize(build.options.platform);
  const pb::Platform& wanted = op.op.platform();
  if (wanted.os() != "linux")
    reject(op, "platform.os", cat(go_quote(wanted.os()), " is not an operating system that is built for"), "use linux");
  oci::Platform out{wanted.os(), wanted.architecture(), wanted.variant(), wanted.os_version(), {}};
  out.os_features.assign(wanted.os_features().begin(), wanted.os_features().end());
  return oci::normalize(std::move(out));
}

solver::Vertex OpLowering::vertex(solver::Op what) const {
  if (op.op.constraints().filter_size() > 0)
    reject(op, "constraints.filter",
           cat(go_quote(op.op.constraints().filter(0)), ": there is one worker, without labels"));
  solver::Vertex out;
  const bool source = solver::is_source(what);
  out.op = std::move(what);
  out.name = op.name;
  out.spans = op.spans;
  out.ignore_cache = !source && (build.options.no_cache || (op.metadata != nullptr && op.metadata->ignore_cache()));
  return out;
}

solver::VertexId OpLowering::add(solver::Op what, std::vector<solver::VertexId> from) const {
  solver::Vertex out = vertex(std::move(what));
  out.inputs = std::move(from);
  return build.graph.add(std::move(out));
}

solver::VertexId import_vertex(solver::Graph& into, const solver::Graph& from, solver::VertexId id) {
  if (id == solver::kNoInput) return id;
  std::map<solver::VertexId, solver::VertexId> moved = {{solver::kNoInput, solver::kNoInput}};
  for (const solver::VertexId old : from.reachable({id})) {
    solver::Vertex vertex = from[old];
    for (solver::VertexId& input : vertex.inputs) input = moved.at(input);
    moved[old] = into.add(std::move(vertex));
  }
  return moved.at(id);
}

}  // namespace cbuild::api
