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

#include "base/duplicate.h"
#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/unpacker.h"
#include "oci/platform.h"
#include "sandbox/ids/users.h"
#include "solver/ops/exec_certificates.h"
#include "solver/ops/exec_devices.h"
#include "solver/ops/exec_mounts.h"
#include "solver/ops/local_exec_state.h"
#include "solver/ops/rootfs_path.h"
#include "solver/ops/side_changes.h"
#include "solver/ops/write_tree.h"

namespace cbuild::solver::ops {
namespace {

/// `gateway` stands for "host-gateway".
std::string hosts_text(const std::string& hostname, const std::vector<std::string>& extra, const std::string& gateway) {
  std::string text = cat("127.0.0.1\tlocalhost ", hostname, "\n::1\tlocalhost ip6-localhost ip6-loopback\n");
  for (const std::string& entry : extra) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos) continue;
    const std::string address = entry.substr(equals + 1);
    text += cat(address == "host-gateway" ? gateway : address, "\t", entry.substr(0, equals), "\n");
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
  spec.network = op.network;
  spec.insecure = op.insecure;
  if (settings.shm_size != 0) spec.shm_size = settings.shm_size;
  spec.ulimits = settings.ulimits;
  spec.cgroup_parent = settings.cgroup_parent;
  if (settings.timeout_ns > 0) spec.timeout_ns = settings.timeout_ns;
  return spec;
}

/// The root's own mode and owner come from the topmost layer, which is the new one.
void copy_root_metadata(const cache::TreeView& root, const cache::Staging& upper) {
  const auto entry = root.lookup("");
  if (entry) give_owner_and_mode(upper, entry->st.st_uid, entry->st.st_gid, entry->st.st_mode);
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

/// The layers with a step's own changes on top of them.
cache::TreeView view_of(const std::vector<int>& layers, bool user_xattr) {
  std::vector<UniqueFd> own;
  for (const int fd : layers) own.push_back(duplicate(fd));
  return {std::move(own), true, user_xattr};
}

void add_visit(const ExecVisit& visit, sandbox::Spec& spec) {
  spec.stdin_fd = visit.stdin_fd;
  spec.terminal_fd = visit.terminal_fd;
  spec.timeout_ns.reset();
  for (const VisitMount& mount : visit.mounts)
    spec.mounts.push_back({.target = mount.target,
                           .source = sandbox::BindSource{mount.fd},
                           .read_only = mount.read_only,
                           .no_suid = true,
                           .no_dev = true});
}

/// One command. The runner's callbacks keep it until the command has ended.
class LocalRun : public std::enable_shared_from_this<LocalRun> {
 public:
  LocalRun(LocalExecState& state, const ExecuteRequest& request, const ExecVisit* visit, ExecCallbacks callbacks)
      : state_(state),
        request_(request),
        visit_(visit),
        op_(std::get<ExecOp>(request.vertex->op)),
        callbacks_(std::move(callbacks)),
        changes_(state.context.services.store.stage("run")) {}

  std::shared_ptr<sandbox::RunningStep> start();

 private:
  sandbox::Spec prepare();
  void set_network(sandbox::Spec& spec);
  /// The lower ones of the build's and of the step's own.
  Resources limits() const { return stricter(request_.vertex->settings.resources, state_.settings.resources); }
  std::optional<cache::TreeView> open_root(sandbox::Spec& spec);
  void end(const sandbox::Exit& ended);
  void take_side_metadata(sandbox::Exit& exit);
  std::string tell_refusals();

  LocalExecState& state_;
  const ExecuteRequest request_;
  const ExecVisit* const visit_;  ///< null: the step's own command
  const ExecOp& op_;
  const ExecCallbacks callbacks_;
  cache::Staging changes_;
  ExecInputs inputs_;
  std::unique_ptr<sandbox::network::Lease> network_;
};

sandbox::network::Networks& networks_of(LocalExecState& state) {
  const std::lock_guard lock(state.networks_mutex);
  if (!state.settings.networks) throw Error(ErrorCode::internal, "no network for commands");
  if (!state.networks) state.networks = sandbox::network::open_networks(*state.settings.networks);
  return *state.networks;
}

void LocalRun::set_network(sandbox::Spec& spec) {
  const ExecSettings& settings = request_.vertex->settings;
  std::string gateway = "127.0.0.1";  // on the machine's network, where it is itself
  spec.resolv_conf = state_.resolv_conf;
  if (settings.own_network) {
    network_ = networks_of(state_).lease();
    if (spec.insecure) network_->discard();
    spec.network_fd = network_->network().fd;
    spec.resolv_conf = network_->network().resolv_conf;
    gateway = network_->network().host_gateway;
  }
  spec.hosts_file = hosts_text(spec.hostname, settings.extra_hosts, gateway);
}

/// Opens the layers of the root; gives their view, unless there is none.
std::optional<cache::TreeView> LocalRun::open_root(sandbox::Spec& spec) {
  cache::Store& store = state_.context.services.store;
  const Digest root = request_.inputs.at(0).id;
  std::optional<cache::TreeView> view;
  if (!root.empty()) {
    state_.context.materialize(root, request_.id);
    inputs_.fds.push_back(cache::open_lowers(store, root));
    for (const UniqueFd& fd : inputs_.fds.back()) spec.lower_fds.push_back(fd.get());
    view.emplace(cache::open_view(store, root));
  }
  if (visit_ != nullptr && visit_->changes != nullptr) {
    spec.lower_fds.insert(spec.lower_fds.begin(), visit_->changes->tree_fd());
    view.emplace(view_of(spec.lower_fds, state_.settings.user_xattr));
  }
  if (view) copy_root_metadata(*view, changes_);
  return view;
}

sandbox::Spec LocalRun::prepare() {
  sandbox::Spec spec = basic_spec(op_, request_.vertex->settings);
  const std::optional<cache::TreeView> view = open_root(spec);
  set_user(spec, op_.user, view ? &*view : nullptr);
  set_network(spec);
  if (const std::string& pem = state_.settings.ca_certificates; !pem.empty())
    add_certificates(pem, view ? &*view : nullptr, spec);
  spec.resources = limits();
  spec.security = state_.settings.security;
  add_mounts(state_, request_, op_, spec, inputs_);
  if (visit_ != nullptr) add_visit(*visit_, spec);
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

void LocalRun::end(const sandbox::Exit& ended) {
  sandbox::Exit exit = ended;
  std::vector<KeptMount> kept = std::move(inputs_.kept);
  inputs_ = {};
  std::string hint = tell_refusals();
  network_.reset();
  if (did_well(op_, ended.code) && ended.setup_error.empty()) take_side_metadata(exit);
  if (const std::string foreign = foreign_hint(op_, exit, state_.settings.binfmt_directory); !foreign.empty())
    hint = foreign;
  ExecEnd end{exit, hint, std::move(changes_), limits().memory_bytes, std::move(kept)};
  callbacks_.done(std::move(end));
}

/// Says what the network has refused, in the step's own output; returns advice for a step that failed.
std::string LocalRun::tell_refusals() {
  const std::vector<std::string> refused = network_ ? network_->take_refused() : std::vector<std::string>();
  for (const std::string& place : refused)
    callbacks_.output(LogStream::err, cat("[cbuild] network: refused ", sanitize_for_terminal(place), "\n"));
  if (refused.empty()) return {};
  return cat("the network refused ", sanitize_for_terminal(refused[0]), "; --allow-net ",
             sanitize_for_terminal(refused[0]), " allows it");
}

/// What a command has changed of files that are not what they ought to be.
void LocalRun::take_side_metadata(sandbox::Exit& exit) {
  SideRecorder* const side = changes_.side();
  if (side == nullptr || has_side_metadata(changes_.tree_fd())) return;  // a copy of the root has written its own
  try {
    const Digest root = request_.inputs.at(0).id;
    if (!root.empty()) inherit_side(cache::open_view(state_.context.services.store, root), changes_.tree_fd(), *side);
    side->save(changes_.tree_fd());
  } catch (const std::exception& error) {
    exit.code = 125;
    exit.setup_error = cat("take over its changes: ", error.what());
    exit.setup_fault = sandbox::SetupFault::machine;
  }
}

class LocalExecBackend final : public ExecBackend {
 public:
  LocalExecBackend(StepContext& context, const LocalExecSettings& settings)
      : state_{context, settings, sandbox::network::read_resolv_conf(settings.dns), Skeletons(context.services.store)} {
  }

  std::shared_ptr<sandbox::RunningStep> start(const ExecuteRequest& request, ExecCallbacks callbacks) override {
    return std::make_shared<LocalRun>(state_, request, nullptr, std::move(callbacks))->start();
  }
  std::shared_ptr<sandbox::RunningStep> visit(const ExecuteRequest& request, const ExecVisit& visit,
                                              ExecCallbacks callbacks) override {
    return std::make_shared<LocalRun>(state_, request, &visit, std::move(callbacks))->start();
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
