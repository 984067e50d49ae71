// SPDX-License-Identifier: Apache-2.0
// The --mount flags of a RUN become mounts of its op, and a source that from= names becomes an input of its vertex,
// once, however many mounts use it. Mounts are sorted by target, so that outer ones are mounted before inner ones and
// their order in the Dockerfile does not count in the key.
#include "frontend/lower/lower_mounts.h"

#include <algorithm>

#include "base/text.h"
#include "frontend/lower/lower_origin.h"
#include "frontend/stages/lower_diagnostic.h"

namespace cbuild::frontend {

namespace {

constexpr std::string_view kAuthSock = "SSH_AUTH_SOCK";

std::string clean_source(const std::string& source) { return join_path("/", source); }

int add_input(std::vector<solver::VertexId>& inputs, solver::VertexId vertex) {
  const auto known = std::find(inputs.begin() + 1, inputs.end(), vertex);
  if (known != inputs.end()) return static_cast<int>(known - inputs.begin());
  inputs.push_back(vertex);
  return static_cast<int>(inputs.size()) - 1;
}

/// Vertex that from= names; a stage must be finished.
solver::VertexId mount_source(StageLowering& stage, const MountSpec& spec, const Span& span) {
  const Origin origin = stage.build.table.mount_origin(spec.from);
  if (origin.stage && !stage.build.states[*origin.stage].done) {
    reject(span, cat("cannot mount from stage ", go_quote(spec.from), " to ", go_quote(spec.target),
                     ", stage needs to be defined before current command"));
  }
  return origin_vertex(stage, origin);
}

/// Relative targets lie below the working directory, whatever the type.
std::string mount_target(const StageLowering& stage, const MountSpec& spec, const Span& span) {
  const std::string& dir = stage.state.image.config.working_dir;
  const std::string target =
      spec.target.starts_with('/') ? clean_path(spec.target) : join_path(join_path("/", dir), spec.target);
  if (target == "/") reject(span, "invalid mount target \"/\"", "mount onto a directory below the root");
  return target;
}

solver::BindMount make_bind(StageLowering& stage, const MountSpec& spec, const Span& span,
                            std::vector<solver::VertexId>& inputs) {
  const solver::VertexId source = spec.from.empty()
                                      ? stage.build.sources.build_context(stage.info.syntax->name, stage.span())
                                      : mount_source(stage, spec, span);
  return {add_input(inputs, source), clean_source(spec.source), spec.read_only};
}

/// An id is told apart by the namespace of the build; without one the target as written stands for it.
std::string cache_id(const StageLowering& stage, const MountSpec& spec) {
  const std::string id = spec.id.empty() ? clean_path(spec.target) : spec.id;
  const auto given = stage.build.options.build_args.find("BUILDKIT_CACHE_MOUNT_NS");
  if (given == stage.build.options.build_args.end() || given->second.empty()) return id;
  return cat(given->second, "/", id);
}

solver::CacheMount make_cache(StageLowering& stage, const MountSpec& spec, const Span& span,
                              std::vector<solver::VertexId>& inputs) {
  solver::CacheMount mount;
  mount.id = cache_id(stage, spec);
  if (spec.sharing == MountSpec::Sharing::private_) mount.sharing = solver::Sharing::private_;
  if (spec.sharing == MountSpec::Sharing::locked) mount.sharing = solver::Sharing::locked;
  mount.read_only = spec.read_only;
  mount.source = clean_source(spec.source);
  if (!spec.from.empty()) {
    const solver::VertexId source = mount_source(stage, spec, span);
    if (source != solver::kNoInput) mount.input = add_input(inputs, source);
  }
  if (mount.source != "/") return mount;  // a part of the cache is mounted as it is
  mount.mode = spec.mode.value_or(mount.mode);
  mount.uid = spec.uid.value_or(0);
  mount.gid = spec.gid.value_or(0);
  return mount;
}

solver::ExecMount make_secret(const StageLowering& stage, const MountSpec& spec, const Span& span) {
  solver::SecretMount mount;
  mount.id = spec.source.empty() ? spec.id : spec.source;
  if (mount.id.empty() && spec.target.empty()) reject(span, "one of source, target required");
  if (mount.id.empty()) mount.id = base_name(spec.target);
  if (const auto hash = stage.build.options.secret_hashes.find(mount.id);
      hash != stage.build.options.secret_hashes.end())
    mount.value_hash = hash->second;
  mount.env_name = spec.env_name;
  mount.as_file = mount.env_name.empty() || !spec.target.empty();
  mount.required = spec.required;
  mount.mode = spec.mode.value_or(mount.mode);
  mount.uid = spec.uid.value_or(0);
  mount.gid = spec.gid.value_or(0);
  std::string target;
  if (mount.as_file)
    target = spec.target.empty() ? cat("/run/secrets/", base_name(mount.id)) : mount_target(stage, spec, span);
  return {std::move(target), std::move(mount)};
}

solver::ExecMount make_ssh(const StageLowering& stage, const MountSpec& spec, std::size_t number, const Span& span) {
  if (!spec.source.empty()) reject(span, "ssh does not support source");
  solver::SshMount mount;
  mount.id = spec.id.empty() ? "default" : spec.id;
  mount.required = spec.required;
  mount.mode = spec.mode.value_or(mount.mode);
  mount.uid = spec.uid.value_or(0);
  mount.gid = spec.gid.value_or(0);
  std::string target = spec.target.empty() ? cat("/run/buildkit/ssh_agent.", number) : mount_target(stage, spec, span);
  return {std::move(target), std::move(mount)};
}

/// SSH_AUTH_SOCK points at the first socket unless the stage sets it.
void add_auth_sock(const StageLowering& stage, solver::ExecOp& op, const std::string& target) {
  if (stage.state.scope.variables.find(kAuthSock) != nullptr) return;
  op.environment.push_back(cat(kAuthSock, "=", target));
}

}  // namespace

std::vector<MountSpec> parse_mounts(const StageLowering& stage, const RunInstruction& run) {
  std::vector<MountSpec> specs;
  for (const Text& mount : run.mounts) {
    const auto expand = [&](std::string_view value) {
      Text word{std::string(value), mount.span};
      return stage.expand(word);
    };
    specs.push_back(at(mount.span, [&] { return parse_mount(mount.value, expand); }));
  }
  return specs;
}

void add_mounts(StageLowering& stage, const RunInstruction& run, const std::vector<MountSpec>& specs,
                solver::ExecOp& op, std::vector<solver::VertexId>& inputs) {
  std::size_t sockets = 0;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const MountSpec& spec = specs[i];
    const Span& span = run.mounts[i].span;
    note_mount(stage, spec);
    switch (spec.type) {
      case MountSpec::Type::bind:
        op.mounts.push_back({mount_target(stage, spec, span), make_bind(stage, spec, span, inputs)});
        break;
      case MountSpec::Type::cache:
        op.mounts.push_back({mount_target(stage, spec, span), make_cache(stage, spec, span, inputs)});
        break;
      case MountSpec::Type::tmpfs:
        op.mounts.push_back({mount_target(stage, spec, span), solver::TmpfsMount{spec.size_bytes}});
        break;
      case MountSpec::Type::secret:
        op.mounts.push_back(make_secret(stage, spec, span));
        break;
      case MountSpec::Type::ssh:
        op.mounts.push_back(make_ssh(stage, spec, sockets, span));
        if (sockets++ == 0) add_auth_sock(stage, op, op.mounts.back().target);
        break;
    }
  }
  std::stable_sort(op.mounts.begin(), op.mounts.end(),
                   [](const solver::ExecMount& a, const solver::ExecMount& b) { return a.target < b.target; });
}

}  // namespace cbuild::frontend
