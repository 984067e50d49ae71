// SPDX-License-Identifier: Apache-2.0
//
// The mounts of a RUN: from values of the op to descriptors that the sandbox mounts. Everything is opened here, before
// the step starts, because a descriptor cannot be redirected by files that a step writes. Cache mounts
// (cache_mounts.cc) come first, because they may have to be waited for.
#include "solver/ops/exec_mounts.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/unpacker.h"
#include "solver/ops/cache_mounts.h"
#include "solver/ops/rootfs_path.h"
#include "solver/ops/tree_copy.h"
#include "solver/ops/write_tree.h"

namespace cbuild::solver::ops {
namespace {

std::vector<int> borrow(const std::vector<UniqueFd>& fds) {
  std::vector<int> out;
  for (const UniqueFd& fd : fds) out.push_back(fd.get());
  return out;
}

Error missing_source(const std::string& source) {
  return Error(ErrorCode::not_found, cat("failed to compute cache key: \"", source, "\": not found"));
}

class MountBuilder {
 public:
  MountBuilder(LocalExecState& state, const ExecuteRequest& request, sandbox::Spec& spec, ExecInputs& inputs)
      : state_(state),
        context_(state.context),
        request_(request),
        spec_(spec),
        inputs_(inputs),
        caches_(state, request) {}

  void add(const std::vector<ExecMount>& mounts) {
    caches_.acquire(mounts, inputs_);
    for (const ExecMount& mount : mounts) {
      target_ = mount.target;
      std::visit([this](const auto& what) { (*this)(what); }, mount.what);
    }
  }

 private:
  void operator()(const BindMount& bind);
  void operator()(const CacheMount& cache);
  void operator()(const TmpfsMount& tmpfs);
  void operator()(const SecretMount& secret);
  void operator()(const SshMount& ssh);
  void keep(const BindMount& bind);

  LocalExecState& state_;
  StepContext& context_;
  const ExecuteRequest& request_;
  sandbox::Spec& spec_;
  ExecInputs& inputs_;
  std::string target_;
  CacheMounts caches_;
  unsigned ssh_count_ = 0;
};

/// Whatever is there in the end is the output, so the command works on a tree of its own: a copy of the source.
void MountBuilder::keep(const BindMount& bind) {
  cache::Store& store = context_.services.store;
  cache::Staging tree = store.stage("output");
  const Result from = input_result(context_, request_, bind.input, "");
  if (from.id.empty()) {
    give_owner_and_mode(tree, 0, 0, 0755);
  } else {
    const cache::TreeView view = cache::open_view(store, from.id);
    PlannedTree plan(nullptr);
    TreeCopier(view, plan, {.cancel = &context_.services.cancel}).copy_contents("", "", true);
    const auto root = view.lookup("");
    if (root) give_owner_and_mode(tree, root->st.st_uid, root->st.st_gid, root->st.st_mode);
    write_tree(plan, tree.tree_fd(), tree.side(), &context_.services.cancel);
  }
  spec_.mounts.push_back({.target = target_, .source = sandbox::BindSource{tree.tree_fd()}});
  inputs_.kept.push_back({target_, std::move(tree)});
}

void MountBuilder::operator()(const BindMount& bind) {
  if (bind.kept) return keep(bind);
  // The snapshot has the file that a link leads to, not the link.
  const LocalSource* local = context_.local_source(*request_.vertex, static_cast<std::size_t>(bind.input));
  const std::string path = local ? context_.local_path(*local, bind.source) : relative(bind.source);
  const Result from = input_result(context_, request_, bind.input, path);
  if (from.id.empty()) {  // scratch, or a build without context
    if (!path.empty()) throw missing_source(bind.source);
    spec_.mounts.push_back({.target = target_, .source = sandbox::TmpfsSource{0, 0755}, .read_only = bind.read_only});
    return;
  }
  const cache::TreeView view = cache::open_view(context_.services.store, from.id);
  const auto resolved = view.resolve(path);
  if (!resolved) throw missing_source(bind.source);
  const auto entry = view.lookup(*resolved);
  if (entry && !S_ISDIR(entry->st.st_mode)) inputs_.file_targets.insert(target_);
  inputs_.fds.push_back(cache::open_lowers(context_.services.store, from.id));
  sandbox::OverlaySource source{borrow(inputs_.fds.back()), cat("/", path), !bind.read_only};
  spec_.mounts.push_back({.target = target_, .source = std::move(source), .read_only = bind.read_only});
}

void MountBuilder::operator()(const CacheMount& cache) {
  const int shown = caches_.view(cache, inputs_);
  if (!S_ISDIR(sys::stat_fd(shown).st_mode)) inputs_.file_targets.insert(target_);
  spec_.mounts.push_back({.target = target_, .source = sandbox::BindSource{shown}, .read_only = cache.read_only});
}

void MountBuilder::operator()(const TmpfsMount& tmpfs) {
  spec_.mounts.push_back({.target = target_, .source = sandbox::TmpfsSource{tmpfs.size_bytes, 01777}, .no_suid = true});
}

/// The value of a secret, where there is one.
std::optional<std::string> find_secret(const LocalExecSettings& settings, const std::string& id) {
  for (const Secret& offered : settings.secrets)
    if (offered.id == id) return offered.read();
  return settings.other_secret ? settings.other_secret(id) : std::nullopt;
}

/// The socket of an agent, where there is one.
std::optional<std::string> find_agent(const LocalExecSettings& settings, const std::string& id) {
  for (const SshAgent& offered : settings.ssh_agents)
    if (offered.id == id) return offered.socket_path;
  return settings.other_agent ? settings.other_agent(id) : std::nullopt;
}

void MountBuilder::operator()(const SecretMount& secret) {
  const std::optional<std::string> value = find_secret(state_.settings, secret.id);
  if (!value) {
    if (secret.required)
      throw Error(ErrorCode::not_found, cat("secret ", secret.id, ": not found"))
          .with_hint(cat("give it with --secret id=", secret.id, ",src=FILE or --secret id=", secret.id, ",env=NAME"));
    if (!secret.env_name.empty()) spec_.environment.push_back(cat(secret.env_name, "="));
    return;
  }
  if (!secret.env_name.empty()) spec_.environment.push_back(cat(secret.env_name, "=", *value));
  if (!secret.as_file) return;
  spec_.mounts.push_back({.target = target_,
                          .source = sandbox::ContentSource{*value, secret.uid, secret.gid, secret.mode},
                          .read_only = true,
                          .no_suid = true,
                          .no_dev = true,
                          .no_exec = (secret.mode & 0111) == 0});
}

void MountBuilder::operator()(const SshMount& ssh) {
  const std::optional<std::string> socket = find_agent(state_.settings, ssh.id);
  if (!socket) {
    if (ssh.required)
      throw Error(ErrorCode::not_found, cat("unset ssh forward key ", ssh.id)).with_hint("give it with --ssh default");
    return;
  }
  const bool first = ssh_count_++ == 0;
  auto& fds = inputs_.fds.emplace_back();
  fds.push_back(sys::open_at(AT_FDCWD, *socket, O_PATH));
  spec_.mounts.push_back({.target = target_, .source = sandbox::BindSource{fds.back().get()}});
  const bool set = std::any_of(spec_.environment.begin(), spec_.environment.end(),
                               [](const std::string& e) { return e.starts_with("SSH_AUTH_SOCK="); });
  if (first && !set) spec_.environment.push_back(cat("SSH_AUTH_SOCK=", target_));
}

}  // namespace

void add_mounts(LocalExecState& state, const ExecuteRequest& request, const ExecOp& op, sandbox::Spec& spec,
                ExecInputs& inputs) {
  MountBuilder builder(state, request, spec, inputs);
  builder.add(op.mounts);
  for (const InlineFile& file : op.files)
    spec.mounts.push_back(
        {.target = file.path, .source = sandbox::ContentSource{file.content, 0, 0, file.mode}, .read_only = true});
}

}  // namespace cbuild::solver::ops
