// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "solver/graph/graph.h"

/// Vertices for tests: of this module, and of those that stand on it.
namespace cbuild::solver::fakes {

inline Vertex image(const std::string& name) {
  Vertex vertex;
  ImageSource source;
  source.manifest = sha256("manifest " + name);
  source.chain_id = sha256("chain " + name);
  source.platform = "linux/amd64";
  source.locator = "docker-image://" + name;
  vertex.op = source;
  vertex.name = name;
  return vertex;
}

inline Vertex directory(const std::string& path) {
  Vertex vertex;
  LocalSource source;
  source.name = "context";
  source.path = path;
  vertex.op = source;
  vertex.name = path;
  return vertex;
}

/// Runs `command` (by default its name) on the first input.
inline Vertex run(const std::string& name, std::vector<VertexId> inputs, const std::string& command = "") {
  Vertex vertex;
  ExecOp exec;
  exec.argv = {"/bin/sh", "-c", command.empty() ? name : command};
  vertex.op = exec;
  vertex.inputs = std::move(inputs);
  vertex.name = name;
  return vertex;
}

/// Copies `path` of `from` onto `base`.
inline Vertex copy(const std::string& name, VertexId base, VertexId from, const std::string& path) {
  Vertex vertex;
  CopyAction action;
  action.sources = {path};
  action.destination = "/";
  vertex.op = FileOp{{action}};
  vertex.inputs = {base, from};
  vertex.name = name;
  return vertex;
}

/// Stacks the inputs; takes no slot.
inline Vertex merge(const std::string& name, std::vector<VertexId> inputs) {
  Vertex vertex;
  vertex.op = MergeOp{};
  vertex.inputs = std::move(inputs);
  vertex.name = name;
  return vertex;
}

}  // namespace cbuild::solver::fakes
