// SPDX-License-Identifier: Apache-2.0
// RUN becomes a vertex: the fields that enter its key in an ExecOp, those that only say how to run it (limits, proxies,
// addresses of hosts) in ExecSettings. Mounts add inputs (lower_mounts.cc), heredocs become scripts (lower_heredoc.cc).
// With only_used_args, ARGs that the command cannot be seen to use leave the key (arg_usage.h).
#include <algorithm>

#include "base/resources.h"
#include "base/text.h"
#include "frontend/lower/arg_usage.h"
#include "frontend/lower/lower_heredoc.h"
#include "frontend/lower/lower_instructions.h"
#include "frontend/lower/lower_mounts.h"
#include "frontend/stages/history.h"
#include "frontend/stages/lower_diagnostic.h"
#include "frontend/syntax/mount_spec.h"
#include "frontend/text/expand.h"

namespace cbuild::frontend {

namespace {

constexpr std::string_view kSecretMask = "****";

bool is_allowed(const StageLowering& stage, std::string_view entitlement) {
  const std::vector<std::string>& allow = stage.build.options.allow;
  return std::find(allow.begin(), allow.end(), entitlement) != allow.end();
}

void require_entitlement(const StageLowering& stage, const Span& span, std::string_view entitlement) {
  if (is_allowed(stage, entitlement)) return;
  reject(span, cat(entitlement, " is not allowed"), cat("pass --allow ", entitlement, " to the build"));
}

/// Whether a step that asks for nothing has a network of its own that reaches outside.
bool has_own_network(const StageLowering& stage) {
  const std::string& wide = stage.build.options.network;
  return !wide.empty() && wide != "default" && wide != "host" && wide != "none";
}

/// The build-wide mode unless the step has its own. A build has the host's network by default, so asking for it needs
/// an entitlement only where the build as a whole was cut off. The way to a network that reaches outside is not in the
/// key: it is a matter of the machine.
NetworkMode network_mode(const StageLowering& stage, const RunInstruction& run) {
  const std::string& wide = stage.build.options.network;
  const NetworkMode inherited = wide == "none" ? NetworkMode::none : NetworkMode::host;
  const std::string own = run.network ? run.network->value : "default";
  if (own == "default") return inherited;
  if (own == "none") return NetworkMode::none;
  if (inherited == NetworkMode::none || has_own_network(stage))
    require_entitlement(stage, run.network->span, "network.host");
  return NetworkMode::host;
}

bool is_insecure(const StageLowering& stage, const RunInstruction& run) {
  if (!run.security || run.security->value == "sandbox") return false;
  require_entitlement(stage, run.security->span, "security.insecure");
  return true;
}

std::int64_t timeout_ns(const RunInstruction& run, std::int64_t otherwise) {
  if (!run.timeout) return otherwise;
  const std::optional<std::int64_t> ns = parse_duration_ns(run.timeout->value);
  if (!ns || *ns < 0) {
    reject(run.timeout->span, cat("invalid value ", go_quote(run.timeout->value), " for --timeout"),
           "write a number with a unit: 90s, 10m");
  }
  return *ns;
}

unsigned retry_count(const RunInstruction& run, unsigned otherwise) {
  if (!run.retry) return otherwise;
  const std::optional<std::int64_t> count = parse_int(run.retry->value);
  if (!count || *count < 0 || *count > 100) {
    reject(run.retry->span, cat("invalid value ", go_quote(run.retry->value), " for --retry"), "use 0 to 100");
  }
  return static_cast<unsigned>(*count);
}

/// Variables as progress shows them: the value of a secret is not known here, and its name stands for no
/// other variable.
Environment display_environment(const StageLowering& stage, const std::vector<MountSpec>& mounts) {
  return [&stage, &mounts](std::string_view name) -> std::optional<std::string> {
    const bool secret = std::any_of(mounts.begin(), mounts.end(), [&](const MountSpec& mount) {
      return mount.type == MountSpec::Type::secret && mount.env_name == name && !mount.env_name.empty();
    });
    if (secret) return std::string(kSecretMask);
    return stage.state.scope.variables.environment()(name);
  };
}

std::string display_text(const StageLowering& stage, const std::string& summary, const std::vector<MountSpec>& mounts) {
  std::string text(trim(stage.instruction->original));
  if (!summary.empty()) text += cat(" (", summary, ")");
  try {
    const ExpandOptions options{.escape = stage.build.dockerfile.escape, .raw_quotes = true, .skip_unset = true};
    text = expand_word(text, display_environment(stage, mounts), options).text;
  } catch (const Error& e) {
    if (e.code() != ErrorCode::input) throw;
  }
  const std::size_t end = std::min(text.find(' '), text.size());
  return to_upper(text.substr(0, end)) + text.substr(end);
}

/// The variables that are there by ARG: the config, which ENV writes, does not have them with this value.
std::vector<std::string> argument_names(const StageState& state) {
  std::vector<std::string> names;
  const std::vector<std::string>& config = state.image.config.env;
  for (const DeclaredArg& arg : state.scope.declared) {
    const std::string* value = arg.value ? state.scope.variables.find(arg.name) : nullptr;
    if (value == nullptr || *value != *arg.value) continue;
    if (std::find(names.begin(), names.end(), arg.name) != names.end()) continue;
    if (std::find(config.begin(), config.end(), cat(arg.name, "=", *value)) == config.end()) names.push_back(arg.name);
  }
  return names;
}

/// Moves the ARGs that the command cannot be seen to use out of the key.
void drop_unused_arguments(solver::ExecOp& op, solver::ExecSettings& settings) {
  const ArgUsage usage = arg_usage(op.argv, op.files.empty());
  if (usage.all) return;
  std::vector<std::string> keyed;
  for (std::string& entry : op.environment) {
    const std::string name(split_assignment(entry).first);
    const std::vector<std::string>& arguments = settings.argument_names;
    const bool argument = std::find(arguments.begin(), arguments.end(), name) != arguments.end();
    (argument && !usage.uses(name) ? settings.unkeyed_environment : keyed).push_back(std::move(entry));
  }
  op.environment = std::move(keyed);
}

solver::ExecSettings make_settings(const StageLowering& stage, const RunInstruction& run) {
  const LowerOptions& options = stage.build.options;
  solver::ExecSettings settings;
  settings.argument_names = argument_names(stage.state);
  settings.extra_hosts = options.extra_hosts;
  settings.proxy_environment = proxy_environment(options.build_args);
  settings.ulimits = options.ulimits;
  settings.shm_size = options.shm_size;
  settings.cgroup_parent = options.cgroup_parent;
  for (const Text& limits : run.resources)
    at(limits.span, [&] { return add_resources(limits.value, settings.resources); });
  settings.timeout_ns = timeout_ns(run, options.step_timeout_ns);
  settings.retries = retry_count(run, options.step_retries);
  settings.own_network = has_own_network(stage) && (!run.network || run.network->value == "default");
  return settings;
}

void add_host_names(const LowerOptions& options, solver::ExecOp& op) {
  const auto hostname = options.build_args.find("BUILDKIT_SANDBOX_HOSTNAME");
  op.hostname = hostname == options.build_args.end() ? options.hostname : hostname->second;
  for (const std::string& entry : options.extra_hosts) op.host_names.push_back(entry.substr(0, entry.find('=')));
}

solver::ExecOp make_exec(const StageLowering& stage, const RunInstruction& run, RunScript script) {
  solver::ExecOp op;
  op.argv = std::move(script.argv);
  op.files = std::move(script.files);
  op.environment = stage.state.scope.variables.assignments();
  const oci::ContainerConfig& config = stage.state.image.config;
  // The config keeps a slash at the end; the command starts in the same directory with or without. A ".." stays: it is
  // walked in the root, where the part before it may be a link or may have to be made.
  op.working_dir = config.working_dir;
  while (op.working_dir.size() > 1 && op.working_dir.ends_with('/')) op.working_dir.pop_back();
  if (op.working_dir.empty()) op.working_dir = "/";
  op.user = config.user;
  op.platform = stage.state.platform.str();
  op.network = network_mode(stage, run);
  op.insecure = is_insecure(stage, run);
  for (const Text& device : run.devices) {
    const DeviceSpec wanted = at(device.span, [&] { return parse_device(device.value); });
    op.devices.push_back(cat(wanted.name, wanted.required ? ",required" : ""));
  }
  op.security = stage.build.options.security;
  add_host_names(stage.build.options, op);
  return op;
}

}  // namespace

void apply(StageLowering& stage, const RunInstruction& run) {
  const std::vector<MountSpec> mounts = parse_mounts(stage, run);
  RunScript script = make_run_script(stage, run.command);
  if (script.argv.empty()) reject(stage.span(), "arguments are required");
  const std::string created_by = run_created_by(script.argv, stage.state.scope);
  const std::string text = display_text(stage, script.summary, mounts);

  solver::ExecOp op = make_exec(stage, run, std::move(script));
  solver::ExecSettings settings = make_settings(stage, run);
  if (stage.build.options.only_used_args) drop_unused_arguments(op, settings);
  std::vector<solver::VertexId> inputs = {stage.state.root};
  add_mounts(stage, run, mounts, op, inputs);

  solver::Vertex vertex = stage.make_vertex(std::move(op), stage.next_step(text));
  vertex.inputs = std::move(inputs);
  vertex.settings = std::move(settings);
  vertex.ignore_cache = stage.ignores_cache();
  stage.set_root(std::move(vertex));
  stage.add_history(created_by, true);
}

}  // namespace cbuild::frontend
