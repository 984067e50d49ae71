// SPDX-License-Identifier: Apache-2.0
//
// Runs a command in a sandbox of this machine: the layers of its root become the lower directories of an overlay, its
// mounts are opened (exec_mounts.cc), a new tree of the store takes the changes. Descriptors and locks live until the
// command has ended. A command's own cost should be all one sees: our part is a few milliseconds.
#include "solver/ops/local_exec.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/owner.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/unpacker.h"
#include "oci/platform.h"
#include "sandbox/users.h"
#include "solver/ops/exec_devices.h"
#include "solver/ops/exec_mounts.h"
#include "solver/ops/local_exec_state.h"
#include "solver/ops/rootfs_path.h"

namespace cbuild::solver::ops {
namespace {

constexpr std::size_t kMaxResolvConf = 1u << 20;

std::string read_resolv_conf(const std::vector<std::string>& dns) {
  if (!dns.empty()) {
    std::string text;
    for (const std::string& server : dns) text += cat("nameserver ", server, "\n");
    return text;
  }
  const auto fd = sys::try_open_at(AT_FDCWD, "/etc/resolv.conf", O_RDONLY);
  return fd ? sys::read_all(fd->get(), kMaxResolvConf) : std::string("\n");
}

bool has_variable(const std::vector<std::string>& environment, std::string_view name) {
  return std::any_of(environment.begin(), environment.end(), [&](const std::string& entry) {
    return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
  });
}

std::string hosts_text(const std::string& hostname, const std::vector<std::string>& extra) {
  std::string text = cat("127.0.0.1\tlocalhost ", hostname, "\n::1\tlocalhost ip6-localhost ip6-loopback\n");
  for (const std::string& entry : extra) {
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos) text += cat(entry.substr(equals + 1), "\t", entry.substr(0, equals), "\n");
  }
  return text;
}

std::vector<MountTarget> all_targets(const sandbox::Spec& spec, const ExecInputs& inputs) {
  std::vector<MountTarget> targets = sandbox::standard_targets();
  for (const sandbox::Mount& mount : spec.mounts) {
    bool directory =
        !std::holds_alternative<sandbox::ContentSource>(mount.source) && !inputs.file_targets.contains(mount.target);
    if (const auto* bind = std::get_if<sandbox::BindSource>(&mount.source))
      directory = S_ISDIR(sys::stat_fd(bind->fd).st_mode);
    targets.emplace_back(mount.target, directory);
  }
  return targets;
}

void set_user(sandbox::Spec& spec, const std::string& user, const cache::TreeView* root) {
  const sandbox::ResolvedUser resolved =
      sandbox::resolve_user(user, [root](const std::string& path) -> std::optional<std::string> {
        return root ? root->read_file(relative(path), kMaxUserFile) : std::nullopt;
      });
  spec.uid = resolved.uid;
  spec.gid = resolved.gid;
  spec.additional_gids = resolved.additional_gids;
  if (!has_variable(spec.environment, "HOME"))
    spec.environment.push_back(cat("HOME=", resolved.home.empty() ? "/" : resolved.home));
}

sandbox::Spec basic_spec(const ExecOp& op, const ExecSettings& settings) {
  sandbox::Spec spec;
  spec.argv = op.argv;
  spec.environment = op.environment;
  for (const auto* more : {&settings.unkeyed_environment, &settings.proxy_environment})
    spec.environment.insert(spec.environment.end(), more->begin(), more->end());
  spec.working_dir = op.working_dir.empty() ? "/" : op.working_dir;
  if (!op.hostname.empty()) spec.hostname = op.hostname;
  spec.hosts_file = hosts_text(spec.hostname, settings.extra_hosts);
  spec.network = op.network;
  spec.insecure = op.insecure;
  if (settings.shm_size != 0) spec.shm_size = settings.shm_size;
  spec.ulimits = settings.ulimits;
  spec.cgroup_parent = settings.cgroup_parent;
  if (settings.timeout_ns > 0) spec.timeout_ns = settings.timeout_ns;
  return spec;
}

/// The root's own mode and owner come from the topmost layer, which is the new one.
void copy_root_metadata(const cache::TreeView& root, int upper) {
  const auto entry = root.lookup("");
  if (!entry) return;
  sys::set_owner_and_mode(upper, entry->st.st_uid, entry->st.st_gid, entry->st.st_mode, "the root directory");
}

/// An image without them has these directories after a RUN, as with BuildKit: the run-time makes them for its
/// mounts. They are in the upper from the start, and so in the layer.
void make_kernel_directories(const cache::TreeView& root, int upper) {
  constexpr struct timespec kEpoch[2] = {};
  for (const char* name : {"dev", "proc", "sys"}) {
    if (root.lookup(name)) continue;
    sys::mkdir_at(upper, name, 0755);
    if (fchmodat(upper, name, 0755, 0) != 0) throw_errno(errno, cat("chmod /", name));
    if (utimensat(upper, name, kEpoch, 0) != 0) throw_errno(errno, cat("utimens /", name));
  }
}

/// A program that could not be started, on a platform whose programs this machine does not start.
std::string foreign_hint(const ExecOp& op, const sandbox::Exit& exit, const std::string& binfmt_directory) {
  constexpr int kNotStarted = 126, kNotFound = 127;
  const std::optional<oci::Platform> platform = oci::parse_platform(op.platform);
  const std::string host = oci::host_platform().architecture;
  if (!platform || !sandbox::is_foreign(platform->architecture, host)) return {};
  const sandbox::Interpreter found = sandbox::find_interpreter(platform->architecture, binfmt_directory);
  const bool by_path = found == sandbox::Interpreter::inside && (exit.code == kNotFound || exit.code == kNotStarted);
  if (found == sandbox::Interpreter::present || (exit.code != kNotStarted && !by_path)) return {};
  return cat(by_path ? "the interpreter registered for " : "this machine does not start programs of ", op.platform,
             by_path ? " has no flag F and may not lie in the image: " : ": ",
             sandbox::interpreter_advice(platform->architecture));
}

/// One command. The runner's callbacks keep it until the command has ended.
class LocalRun : public std::enable_shared_from_this<LocalRun> {
 public:
  LocalRun(LocalExecState& state, const ExecuteRequest& request, ExecCallbacks callbacks)
      : state_(state),
        request_(request),
        op_(std::get<ExecOp>(request.vertex->op)),
        callbacks_(std::move(callbacks)),
        changes_(state.context.services.store.stage("run")) {}

  std::shared_ptr<sandbox::RunningStep> start();

 private:
  sandbox::Spec prepare();
  void end(const sandbox::Exit& exit);

  LocalExecState& state_;
  const ExecuteRequest request_;
  const ExecOp& op_;
  const ExecCallbacks callbacks_;
  cache::Staging changes_;
  ExecInputs inputs_;
};

sandbox::Spec LocalRun::prepare() {
  cache::Store& store = state_.context.services.store;
  const Digest root = request_.inputs.at(0).id;
  sandbox::Spec spec = basic_spec(op_, request_.vertex->settings);
  std::optional<cache::TreeView> view;
  if (!root.empty()) {
    state_.context.materialize(root, request_.id);
    inputs_.fds.push_back(cache::open_lowers(store, root));
    for (const UniqueFd& fd : inputs_.fds.back()) spec.lower_fds.push_back(fd.get());
    view.emplace(cache::open_view(store, root));
    copy_root_metadata(*view, changes_.tree_fd());
  }
  set_user(spec, op_.user, view ? &*view : nullptr);
  spec.resolv_conf = state_.resolv_conf;
  spec.resources = state_.settings.resources;
  add_mounts(state_, request_, op_, spec, inputs_);
  for (const std::string& note : add_devices(op_, state_.settings, spec, inputs_.fds.emplace_back()))
    callbacks_.output(LogStream::err, cat("[cbuild] ", note, "\n"));

  const std::vector<MountTarget> targets = all_targets(spec, inputs_);
  const cache::TreeView empty({}, true);
  make_kernel_directories(view ? *view : empty, changes_.tree_fd());
  spec.skeleton_fd = state_.skeletons.directory(skeleton_for(view ? *view : empty, targets));
  spec.upper_fd = changes_.tree_fd();
  spec.work_fd = changes_.work_fd();
  return spec;
}

std::shared_ptr<sandbox::RunningStep> LocalRun::start() {
  const sandbox::Spec spec = prepare();
  state_.context.finishers.start_one();
  auto self = shared_from_this();
  return state_.settings.runner().run(spec, {.output = callbacks_.output, .done = [self](const sandbox::Exit& exit) {
                                               self->state_.context.finishers.post([self, exit] { self->end(exit); });
                                             }});
}

void LocalRun::end(const sandbox::Exit& exit) {
  inputs_ = {};
  ExecEnd end{exit, foreign_hint(op_, exit, state_.settings.binfmt_directory), std::move(changes_)};
  callbacks_.done(std::move(end));
}

class LocalExecBackend final : public ExecBackend {
 public:
  LocalExecBackend(StepContext& context, const LocalExecSettings& settings)
      : state_{context, settings, read_resolv_conf(settings.dns), Skeletons(context.services.store)} {}

  std::shared_ptr<sandbox::RunningStep> start(const ExecuteRequest& request, ExecCallbacks callbacks) override {
    return std::make_shared<LocalRun>(state_, request, std::move(callbacks))->start();
  }

 private:
  LocalExecState state_;
};

}  // namespace

MakeExecBackend local_exec(LocalExecSettings settings) {
  return [settings = std::move(settings)](StepContext& context) {
    return std::make_unique<LocalExecBackend>(context, settings);
  };
}

}  // namespace cbuild::solver::ops
