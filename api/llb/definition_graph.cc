// SPDX-License-Identifier: Apache-2.0
#include "api/llb/definition_graph.h"

#include <set>

#include "api/llb/definition.h"
#include "api/llb/lowering.h"

namespace cbuild::api {
namespace {

constexpr std::string_view kLocalScheme = "local://";

struct NeededNames {
  std::set<std::string> secrets, ssh, locals;
};

void add_needs(const pb::ExecOp& exec, NeededNames& names) {
  for (const pb::Mount& mount : exec.mounts()) {
    if (mount.mount_type() == pb::SECRET) names.secrets.insert(mount.secret_opt().id());
    if (mount.mount_type() == pb::SSH)
      names.ssh.insert(mount.ssh_opt().id().empty() ? "default" : mount.ssh_opt().id());
  }
  for (const pb::SecretEnv& variable : exec.secret_env()) names.secrets.insert(variable.id());
}

void add_needs(const pb::SourceOp& source, NeededNames& names) {
  if (source.identifier().starts_with(kLocalScheme))
    names.locals.insert(source.identifier().substr(kLocalScheme.size()));
  for (const auto& [name, value] : source.attrs()) {
    if (name == "git.authtokensecret" || name == "git.authheadersecret" || name == "http.authheadersecret")
      names.secrets.insert(value);
    if (name == "git.mountsshsock") names.ssh.insert(value.empty() ? "default" : value);
  }
}

void add_needs(const pb::Definition& definition, NeededNames& names, unsigned depth) {
  if (depth == 0) return;
  for (const DecodedOp& op : decode(definition).ops) {
    if (op.op.has_exec()) add_needs(op.op.exec(), names);
    if (op.op.has_source()) add_needs(op.op.source(), names);
    if (op.op.has_build()) add_needs(op.op.build().def(), names, depth - 1);
  }
}

}  // namespace

frontend::LoweredTargets lower_definitions(const std::vector<LlbResult>& results, const LlbOptions& options,
                                           const engine::GraphSources& sources) {
  Lowering build(options, sources);
  frontend::LoweredTargets out;
  for (const LlbResult& result : results) {
    const solver::VertexId vertex = result.definition == nullptr ? solver::kNoInput : build.lower(*result.definition);
    out.targets.push_back(finish_result(build, result, vertex));
  }
  out.graph = std::move(build.graph);
  return out;
}

LlbNeeds needs(const pb::Definition& definition) {
  constexpr unsigned kMaxDepth = 16;
  NeededNames names;
  add_needs(definition, names, kMaxDepth);
  return {{names.secrets.begin(), names.secrets.end()},
          {names.ssh.begin(), names.ssh.end()},
          {names.locals.begin(), names.locals.end()}};
}

}  // namespace cbuild::api
