// SPDX-License-Identifier: Apache-2.0
// A command (lowering.h). The mount at "/" is its root and gives the first input; others become mounts of the ExecOp,
// by target, and their inputs follow. What it may write at a mount with an output is kept, and an OutputOp gives it: a
// command has as many results as mounts with outputs, and runs once for all of them.
#include <algorithm>
#include <optional>

#include "api/llb/lowering.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr char kDefaultPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::int64_t kSkipped = -1;

bool is_allowed(const OpLowering& lowering, const std::string& right) {
  const std::vector<std::string>& allow = lowering.build.options.allow;
  return std::find(allow.begin(), allow.end(), right) != allow.end();
}

void need(const OpLowering& lowering, const std::string& right, std::string_view field) {
  if (is_allowed(lowering, right)) return;
  throw Error(ErrorCode::denied, cat(field, ": ", right, " is not allowed"))
      .with_hint(cat("give the build the entitlement: --allow ", right))
      .add_context(place_of(lowering.op));
}

void check(const OpLowering& lowering) {
  const pb::ExecOp& exec = lowering.op.op.exec();
  const std::string& directory = exec.meta().cwd();
  if (exec.meta().args().empty()) reject(lowering.op, "exec.meta.args", "there is no command");
  if (!directory.starts_with('/'))
    reject(lowering.op, "exec.meta.cwd", cat(go_quote(directory), " is not an absolute path"));
  if (exec.security() == pb::INSECURE) need(lowering, "security.insecure", "exec.security");
  if (exec.network() == pb::HOST) need(lowering, "network.host", "exec.network");
  for (const pb::CdiDevice& device : exec.cdi_devices())
    if (!is_allowed(lowering, cat("device=", device.name()))) need(lowering, "device", "exec.cdi_devices");
}

/// The command without its mounts.
solver::ExecOp command_of(const OpLowering& lowering) {
  const pb::ExecOp& given = lowering.op.op.exec();
  const pb::Meta& meta = given.meta();
  solver::ExecOp exec;
  const LlbOptions& options = lowering.build.options;
  exec.argv.assign(meta.args().begin(), meta.args().end());
  exec.environment.assign(meta.env().begin(), meta.env().end());
  const auto sets_path = [](const std::string& variable) { return variable.starts_with("PATH="); };
  if (std::none_of(exec.environment.begin(), exec.environment.end(), sets_path))
    exec.environment.emplace_back(kDefaultPath);
  exec.working_dir = clean_path(meta.cwd());
  exec.user = meta.user();
  exec.platform = lowering.platform().str();
  const bool cut_off = given.network() == pb::NONE || (given.network() == pb::UNSET && options.network == "none");
  exec.network = cut_off ? NetworkMode::none : NetworkMode::host;
  exec.insecure = given.security() == pb::INSECURE;
  for (const pb::CdiDevice& device : given.cdi_devices())
    exec.devices.push_back(cat(device.name(), device.optional() ? "" : ",required"));
  exec.hostname = meta.hostname();
  exec.security = options.security;
  for (const pb::HostIp& host : meta.extra_hosts()) exec.host_names.push_back(host.host());
  for (const std::string& host : options.extra_hosts) exec.host_names.push_back(host.substr(0, host.find('=')));
  exec.exit_codes.assign(meta.valid_exit_codes().begin(), meta.valid_exit_codes().end());
  std::sort(exec.exit_codes.begin(), exec.exit_codes.end());
  if (exec.exit_codes == std::vector<int>{0}) exec.exit_codes.clear();
  return exec;
}

void add_proxy(std::vector<std::string>& environment, const char* upper, const char* lower, const std::string& value) {
  if (value.empty()) return;
  environment.push_back(cat(upper, "=", value));
  environment.push_back(cat(lower, "=", value));
}

Resources resources_of(const pb::LinuxResources& limits) {
  Resources out;
  out.memory_bytes = limits.memory();
  out.memory_swap_bytes = limits.memory_swap();
  out.cpu_shares = limits.cpu_shares();
  out.cpu_period_us = static_cast<std::int64_t>(limits.cpu_period());
  out.cpu_quota_us = limits.cpu_quota();
  out.cpuset_cpus = limits.cpuset_cpus();
  out.cpuset_mems = limits.cpuset_mems();
  return out;
}

solver::ExecSettings settings_of(const OpLowering& lowering) {
  const pb::ExecOp& given = lowering.op.op.exec();
  const pb::Meta& meta = given.meta();
  const LlbOptions& options = lowering.build.options;
  solver::ExecSettings out;
  for (const pb::HostIp& host : meta.extra_hosts()) out.extra_hosts.push_back(cat(host.host(), "=", host.ip()));
  out.extra_hosts.insert(out.extra_hosts.end(), options.extra_hosts.begin(), options.extra_hosts.end());
  const pb::ProxyEnv& proxy = meta.proxy_env();
  add_proxy(out.proxy_environment, "HTTP_PROXY", "http_proxy", proxy.http_proxy());
  add_proxy(out.proxy_environment, "HTTPS_PROXY", "https_proxy", proxy.https_proxy());
  add_proxy(out.proxy_environment, "FTP_PROXY", "ftp_proxy", proxy.ftp_proxy());
  add_proxy(out.proxy_environment, "NO_PROXY", "no_proxy", proxy.no_proxy());
  add_proxy(out.proxy_environment, "ALL_PROXY", "all_proxy", proxy.all_proxy());
  for (const pb::Ulimit& limit : meta.ulimit()) out.ulimits.push_back({limit.name(), limit.soft(), limit.hard()});
  for (const Ulimit& limit : options.ulimits) {
    const auto same = [&](const Ulimit& own) { return iequals(own.name, limit.name); };
    if (std::none_of(out.ulimits.begin(), out.ulimits.end(), same)) out.ulimits.push_back(limit);
  }
  out.cgroup_parent = meta.cgroup_parent().empty() ? options.cgroup_parent : meta.cgroup_parent();
  out.shm_size = options.shm_size;
  if (lowering.op.metadata != nullptr) out.resources = resources_of(lowering.op.metadata->linux_resources());
  const std::string& wide = options.network;
  const bool own = !wide.empty() && wide != "default" && wide != "host" && wide != "none";
  out.own_network = own && given.network() == pb::UNSET;
  return out;
}

std::string target_of(const DecodedOp& op, const pb::Mount& mount) {
  const std::string target =
      clean_path(mount.dest().starts_with('/') ? mount.dest() : join_path(op.op.exec().meta().cwd(), mount.dest()));
  if (target == "/" || mount.dest().empty())
    reject(op, "exec.mounts.dest", cat(go_quote(mount.dest()), " is not below /"));
  return target;
}

std::string hash_of(const OpLowering& lowering, const std::string& secret) {
  const auto found = lowering.build.options.secret_hashes.find(secret);
  return found == lowering.build.options.secret_hashes.end() ? std::string() : found->second;
}

class ExecLowering {
 public:
  explicit ExecLowering(const OpLowering& lowering) : lowering_(lowering), op_(lowering.op), pb_(op_.op.exec()) {}

  std::vector<solver::VertexId> run() {
    check(lowering_);
    exec_ = command_of(lowering_);
    add_root();
    for (const pb::Mount& mount : pb_.mounts())
      if (&mount != root_) add_mount(mount);
    for (const pb::SecretEnv& variable : pb_.secret_env()) add_secret_variable(variable);
    std::stable_sort(exec_.mounts.begin(), exec_.mounts.end(),
                     [](const auto& a, const auto& b) { return a.target < b.target; });
    return outputs();
  }

 private:
  struct Output {
    std::int64_t index = 0;
    std::optional<solver::VertexId> input;  ///< the output is this, unchanged
    std::string target;                     ///< else of this kept mount; empty: of the root
  };

  void add_root();
  void add_mount(const pb::Mount& mount);
  void add_bind(const pb::Mount& mount, std::string target);
  void add_cache(const pb::Mount& mount, std::string target);
  void add_secret(const pb::Mount& mount, std::string target);
  void add_secret_variable(const pb::SecretEnv& variable);
  int input_of(std::int64_t index);
  void add_output(const pb::Mount& mount, Output output);
  std::vector<solver::VertexId> outputs();

  const OpLowering& lowering_;
  const DecodedOp& op_;
  const pb::ExecOp& pb_;
  const pb::Mount* root_ = nullptr;
  solver::ExecOp exec_;
  std::vector<solver::VertexId> inputs_;
  std::vector<Output> outputs_;
};

void ExecLowering::add_root() {
  for (const pb::Mount& mount : pb_.mounts()) {
    if (mount.dest() != "/") continue;
    if (root_ != nullptr) reject(op_, "exec.mounts", "there are two mounts at /");
    root_ = &mount;
  }
  if (root_ == nullptr) reject(op_, "exec.mounts", "there is no mount at /");
  if (root_->mount_type() != pb::BIND) reject(op_, "exec.mounts", "the mount at / must be of type bind");
  if (!root_->selector().empty() && root_->selector() != "/")
    reject(op_, "exec.mounts.selector", cat(go_quote(root_->selector()), " at /: the root is mounted as a whole"));
  inputs_.push_back(lowering_.tree(root_->input(), "exec.mounts.input"));
  // What a command writes onto a root that is only to be read is thrown away.
  if (root_->readonly())
    add_output(*root_, {root_->output(), inputs_.front(), {}});
  else
    add_output(*root_, {root_->output(), std::nullopt, {}});
}

int ExecLowering::input_of(std::int64_t index) {
  const solver::VertexId vertex = lowering_.input(index, "exec.mounts.input");
  const auto known = std::find(inputs_.begin() + 1, inputs_.end(), vertex);
  const auto at = static_cast<int>(known - inputs_.begin());
  if (known == inputs_.end()) inputs_.push_back(vertex);
  return at;
}

void ExecLowering::add_mount(const pb::Mount& mount) {
  if (!mount.result_id().empty()) reject(op_, "exec.mounts.result_id", "a mount in a definition has an input instead");
  std::string target = target_of(op_, mount);
  switch (mount.mount_type()) {
    case pb::BIND:
      return add_bind(mount, std::move(target));
    case pb::CACHE:
      return add_cache(mount, std::move(target));
    case pb::TMPFS:
      if (mount.input() != -1) reject(op_, "exec.mounts.input", "a tmpfs has no content of an input");
      if (mount.tmpfs_opt().size() < 0) reject(op_, "exec.mounts.tmpfs_opt.size", "it is negative");
      exec_.mounts.push_back(
          {std::move(target), solver::TmpfsMount{static_cast<std::uint64_t>(mount.tmpfs_opt().size())}});
      return;
    case pb::SECRET:
      return add_secret(mount, std::move(target));
    case pb::SSH: {
      const pb::SshOpt& ssh = mount.ssh_opt();
      const std::string id = ssh.id().empty() ? "default" : ssh.id();
      exec_.mounts.push_back(
          {std::move(target), solver::SshMount{id, !ssh.optional(), ssh.mode(), ssh.uid(), ssh.gid()}});
      return;
    }
    default:
      reject(op_, "exec.mounts.mount_type", cat("unknown value ", static_cast<int>(mount.mount_type())));
  }
}

/// A mount that cannot be written gives what it shows as its output.
void ExecLowering::add_bind(const pb::Mount& mount, std::string target) {
  const bool kept = mount.output() != kSkipped && !mount.readonly();
  if (kept)
    add_output(mount, {mount.output(), std::nullopt, target});
  else
    add_output(mount, {mount.output(), lowering_.input(mount.input(), "exec.mounts.input"), {}});
  if (kept && !mount.selector().empty() && clean_path(mount.selector()) != "/")
    reject(op_, "exec.mounts.selector",
           cat(go_quote(mount.selector()), ": a mount with an output shows all of its input"));
  // What is kept is a layer on the input, so it has to have layers.
  if (kept && mount.input() != -1) {
    const solver::VertexId tree = lowering_.tree(mount.input(), "exec.mounts.input");
    inputs_.push_back(tree);
    exec_.mounts.push_back(
        {std::move(target), solver::BindMount{static_cast<int>(inputs_.size()) - 1, "/", false, true}});
    return;
  }
  const std::string source = join_path("/", mount.selector());
  exec_.mounts.push_back(
      {std::move(target), solver::BindMount{input_of(mount.input()), source, mount.readonly(), kept}});
}

void ExecLowering::add_cache(const pb::Mount& mount, std::string target) {
  if (!mount.has_cache_opt()) reject(op_, "exec.mounts.cache_opt", "a cache mount must have it");
  if (mount.output() != kSkipped)
    add_output(mount, {mount.output(), lowering_.input(mount.input(), "exec.mounts.input"), {}});
  solver::CacheMount cache;
  cache.id = mount.cache_opt().id().empty() ? mount.dest() : mount.cache_opt().id();
  if (mount.cache_opt().sharing() == pb::PRIVATE) cache.sharing = solver::Sharing::private_;
  if (mount.cache_opt().sharing() == pb::LOCKED) cache.sharing = solver::Sharing::locked;
  if (mount.input() != -1 && lowering_.input(mount.input(), "exec.mounts.input") != solver::kNoInput)
    cache.input = input_of(mount.input());
  cache.source = join_path("/", mount.selector());
  cache.read_only = mount.readonly();
  exec_.mounts.push_back({std::move(target), std::move(cache)});
}

void ExecLowering::add_secret(const pb::Mount& mount, std::string target) {
  const pb::SecretOpt& given = mount.secret_opt();
  if (given.id().empty()) reject(op_, "exec.mounts.secret_opt.id", "a secret mount must name its secret");
  solver::SecretMount secret;
  secret.id = given.id();
  secret.required = !given.optional();
  secret.mode = given.mode() & 07777;
  secret.uid = given.uid();
  secret.gid = given.gid();
  secret.value_hash = hash_of(lowering_, given.id());
  exec_.mounts.push_back({std::move(target), std::move(secret)});
}

void ExecLowering::add_secret_variable(const pb::SecretEnv& variable) {
  solver::SecretMount secret;
  secret.id = variable.id();
  secret.env_name = variable.name().empty() ? variable.id() : variable.name();
  if (secret.id.empty()) reject(op_, "exec.secret_env.id", "a variable with a secret must name it");
  secret.as_file = false;
  secret.required = !variable.optional();
  secret.value_hash = hash_of(lowering_, secret.id);
  exec_.mounts.push_back({"", std::move(secret)});
}

void ExecLowering::add_output(const pb::Mount& mount, Output output) {
  if (mount.output() == kSkipped) return;
  if (mount.output() < 0 || mount.output() >= pb_.mounts_size())
    reject(op_, "exec.mounts.output", cat(mount.output(), " of ", pb_.mounts_size(), " mounts"));
  for (const Output& other : outputs_)
    if (other.index == output.index)
      reject(op_, "exec.mounts.output", cat("two mounts have the output ", output.index));
  outputs_.push_back(std::move(output));
}

std::vector<solver::VertexId> ExecLowering::outputs() {
  solver::Vertex vertex = lowering_.vertex(std::move(exec_));
  vertex.inputs = inputs_;
  vertex.settings = settings_of(lowering_);
  const solver::VertexId command = lowering_.build.graph.add(std::move(vertex));
  std::vector<solver::VertexId> out;
  for (const Output& output : outputs_) {
    const auto index = static_cast<std::size_t>(output.index);
    if (out.size() <= index) out.resize(index + 1, solver::kNoInput);
    out[index] = command;
    if (output.input) out[index] = *output.input;
    if (output.target.empty()) continue;
    solver::Vertex taken = lowering_.vertex(solver::OutputOp{output.target});
    taken.name = cat(op_.name, " -> ", output.target);
    taken.inputs = {command};
    out[index] = lowering_.build.graph.add(std::move(taken));
  }
  return out;
}

}  // namespace

std::vector<solver::VertexId> lower_exec(const OpLowering& lowering) { return ExecLowering(lowering).run(); }

}  // namespace cbuild::api
