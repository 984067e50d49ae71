// SPDX-License-Identifier: Apache-2.0
//
// The life of one RUN: prepare (inputs on disk, spec built), launch, wait without holding a thread, then publish what
// the upper directory holds. A command's own cost should be all one sees: what is ours here is a few milliseconds.
#include "solver/ops/exec_step.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/step_layer.h"
#include "cache/unpacker.h"
#include "oci/platform.h"
#include "sandbox/users.h"
#include "solver/ops/exec_devices.h"
#include "solver/ops/exec_mounts.h"
#include "solver/ops/layer_identity.h"
#include "solver/ops/rootfs_path.h"

namespace cbuild::solver::ops {
namespace {

constexpr std::uint64_t kIdentityMaxBytes = 32u << 20, kIdentityMaxEntries = 4096;
constexpr auto kGrace = std::chrono::milliseconds(2000);

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

std::vector<MountTarget> all_targets(const sandbox::Spec& spec, const ExecStep::Inputs& inputs) {
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
  if (fchown(upper, entry->st.st_uid, entry->st.st_gid) != 0) throw_errno(errno, "chown of the root directory");
  if (fchmod(upper, entry->st.st_mode & 07777) != 0) throw_errno(errno, "chmod of the root directory");
}

/// An image without them has these directories after a RUN, as with the reference: the run-time makes them for its
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

/// A full disk is the user's to mend, a directory that cannot be entered or a user that there is not is what the
/// Dockerfile asked for.
ErrorCode code_of(sandbox::SetupFault fault) {
  switch (fault) {
    case sandbox::SetupFault::disk_full:
      return ErrorCode::no_space;
    case sandbox::SetupFault::working_directory:
    case sandbox::SetupFault::user:
      return ErrorCode::step_failed;
    case sandbox::SetupFault::none:
    case sandbox::SetupFault::machine:
      break;
  }
  return ErrorCode::unsupported;
}

Error setup_failure(const sandbox::Exit& exit) {
  return {code_of(exit.setup_fault), cat("cannot start the step: ", exit.setup_error)};
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

std::string how_it_ended(const ExecSettings& settings, const sandbox::Exit& exit) {
  if (exit.timed_out) return cat("stopped after its time limit of ", format_go_duration(settings.timeout_ns));
  return cat("exit code: ", exit.code, exit.oom_killed ? " (killed: out of memory)" : "");
}

}  // namespace

ExecStep::ExecStep(StepContext& context, const ExecuteRequest& request, Completion done)
    : context_(context),
      request_(request),
      op_(std::get<ExecOp>(request.vertex->op)),
      settings_(request.vertex->settings),
      done_(std::move(done)),
      attempts_left_(settings_.retries),
      log_(
          context.services.log_limits, sys::monotonic_ns(), [this] { return open_log(); },
          [this](LogStream stream, std::string_view data) { show(stream, data); }) {}

ExecStep::~ExecStep() = default;

void ExecStep::start() {
  try {
    // A further attempt may have been on its way when the build was stopped.
    if (is_stopped()) throw Error(ErrorCode::cancelled, "cancelled");
    launch();
  } catch (Error& error) {
    fail(error, 0);
  } catch (const std::exception& error) {
    fail(Error(ErrorCode::internal, error.what()), 0);
  }
}

void ExecStep::launch() {
  cache::Store& store = context_.services.store;
  const Digest root = request_.inputs.at(0).id;
  began_ns_ = sys::now_ns();
  inputs_ = std::make_unique<Inputs>();
  sandbox::Spec spec = basic_spec(op_, settings_);
  std::optional<cache::TreeView> view;
  staging_.emplace(store.stage("run"));
  if (!root.empty()) {
    context_.materialize(root, request_.id);
    inputs_->fds.push_back(cache::open_lowers(store, root));
    for (const UniqueFd& fd : inputs_->fds.back()) spec.lower_fds.push_back(fd.get());
    view.emplace(cache::open_view(store, root));
    copy_root_metadata(*view, staging_->tree_fd());
  }
  set_user(spec, op_.user, view ? &*view : nullptr);
  spec.resolv_conf = context_.resolv_conf;
  spec.resources = context_.services.resources;
  add_mounts(context_, request_, op_, spec, *inputs_);
  for (const std::string& note : add_devices(op_, context_.services, spec, inputs_->fds.emplace_back()))
    on_output(LogStream::err, cat("[cbuild] ", note, "\n"));

  const std::vector<MountTarget> targets = all_targets(spec, *inputs_);
  const cache::TreeView empty({}, true);
  make_kernel_directories(view ? *view : empty, staging_->tree_fd());
  spec.skeleton_fd = context_.skeletons.directory(skeleton_for(view ? *view : empty, targets));
  spec.upper_fd = staging_->tree_fd();
  spec.work_fd = staging_->work_fd();

  context_.finishers.start_one();
  auto self = shared_from_this();
  auto running = context_.services.runner().run(
      spec,
      {.output = [self](LogStream stream, std::string_view data) { self->on_output(stream, data); },
       .done =
           [self](const sandbox::Exit& exit) { self->context_.finishers.post([self, exit] { self->finish(exit); }); }});
  const std::lock_guard lock(mutex_);
  running_ = std::move(running);
  if (stopped_) running_->stop(kGrace);
}

bool ExecStep::is_stopped() {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

void ExecStep::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  if (running_) running_->stop(kGrace);
}

std::string ExecStep::log_name() const { return cat(request_.id, ".log"); }

UniqueFd ExecStep::open_log() const {
  cache::BuildLogs* logs = context_.services.logs;
  return logs == nullptr ? UniqueFd()
                         : sys::open_at(logs->directory(), log_name(), O_WRONLY | O_CREAT | O_APPEND, 0600);
}

void ExecStep::show(LogStream stream, std::string_view data) const {
  if (context_.services.progress)
    context_.services.progress->on_event(TaskLog{request_.id, sys::monotonic_ns(), stream, data});
}

void ExecStep::on_output(LogStream stream, std::string_view data) { log_.write(stream, data, sys::monotonic_ns()); }

void ExecStep::finish(const sandbox::Exit& exit) {
  {
    const std::lock_guard lock(mutex_);
    running_.reset();  // it holds our callbacks, which hold us
  }
  try {
    const bool failed = exit.code != 0 || !exit.setup_error.empty();
    if (failed && attempts_left_ > 0 && !exit.cancelled && exit.setup_error.empty()) {
      --attempts_left_;
      const unsigned attempt = settings_.retries - attempts_left_ + 1;
      on_output(LogStream::err, cat("[cbuild] ", how_it_ended(settings_, exit), "; try ", attempt, " of ",
                                    settings_.retries + 1, "\n"));
      staging_.reset();
      inputs_.reset();
      return context_.pool.post([self = shared_from_this()] { self->start(); });
    }
    if (exit.cancelled) return fail(Error(ErrorCode::cancelled, "cancelled"), exit.code);
    if (!exit.setup_error.empty()) return fail(setup_failure(exit), exit.code);
    if (failed) {
      std::string text = cat("process ", go_quote(join(op_.argv, " ")),
                             " did not complete successfully: ", how_it_ended(settings_, exit));
      if (settings_.retries > 0) text += cat(", ", settings_.retries + 1, " tries");
      const std::string hint = foreign_hint(op_, exit, context_.services.binfmt_directory);
      return fail(Error(ErrorCode::step_failed, text).with_hint(hint), exit.code);
    }
    log_.close();
    const Result result = publish();
    inputs_.reset();
    std::exchange(done_, nullptr)(result);
    cache::remove_leftovers(context_.services.store);
  } catch (Error& error) {
    fail(error, 0);
  } catch (const std::exception& error) {
    fail(Error(ErrorCode::internal, error.what()), 0);
  }
}

Result ExecStep::publish() {
  const Result& root = request_.inputs.at(0);
  CanonicalWriter identity;
  std::optional<cache::TreeView> base;
  const RunTimes times{began_ns_, sys::now_ns(), [&]() -> const cache::TreeView* {
                         if (root.id.empty()) return nullptr;
                         if (!base) base.emplace(cache::open_view(context_.services.store, root.id));
                         return &*base;
                       }};
  const auto changes = layer_identity(staging_->tree_fd(), times, kIdentityMaxBytes, kIdentityMaxEntries);
  identity.tag('r').digest(root.identity);
  if (changes)
    identity.digest(*changes);
  else  // too large to be worth hashing: unique to this run
    identity.digest(request_.key).number(static_cast<std::uint64_t>(sys::now_ns())).number(request_.id);
  return context_.add_layer(root.id, std::move(*staging_), identity.hash(), request_.vertex->name);
}

void ExecStep::fail(Error error, int exit_code) {
  staging_.reset();
  inputs_.reset();
  log_.close();
  const std::string log = log_.is_kept() ? cat(context_.services.logs->path(), "/", log_name()) : std::string();
  std::exchange(done_, nullptr)(StepFailure{std::move(error), exit_code, log});
}

}  // namespace cbuild::solver::ops
