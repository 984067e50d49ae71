// SPDX-License-Identifier: Apache-2.0
// The inside of the zygote. One thread, one loop: take a request, clone a child for it, report children that ended.
// State that steps need (the template namespace, the compiled filter, the device group) is made for the first one and
// kept.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/process/process_limits.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/cgroup.h"
#include "sandbox/confine/seccomp_json.h"
#include "sandbox/host_traits.h"
#include "sandbox/kernel.h"
#include "sandbox/mount_template.h"
#include "sandbox/pid_namespace.h"
#include "sandbox/seccomp_filter.h"
#include "sandbox/subreaper.h"
#include "sandbox/zygote.h"

namespace cbuild::sandbox {
namespace {

constexpr int kZygoteSetupFailed = 125;

int exit_code_of(const std::vector<std::string>& argv, const std::string& input) {
  try {
    return run_command(argv, {.input = input}).exit_code;
  } catch (const Error&) {
    return -1;
  }
}

/// Compiled filters; a build has one, or a few.
class FilterCache {
 public:
  const sock_fprog* program_for(const confine::Security& security) {
    for (const auto& [known, filter] : filters_)
      if (known == security) return &filter->program;
    auto filter = std::make_unique<Filter>();
    const bool given = !security.seccomp.default_action.empty();
    filter->code =
        given ? confine::compile_profile(security.seccomp) : compile_filter(default_calls(security.capabilities));
    filter->program = {static_cast<unsigned short>(filter->code.size()), filter->code.data()};
    filters_.emplace_back(security, std::move(filter));
    return &filters_.back().second->program;
  }

 private:
  struct Filter {
    std::vector<sock_filter> code;
    sock_fprog program{};
  };
  std::vector<std::pair<confine::Security, std::unique_ptr<Filter>>> filters_;
};

/// Shared by all steps.
struct Workshop {
  explicit Workshop(const wire::Configure& configuration) : placer(configuration.mode, configuration.device_control) {
    if (configuration.mode == Mode::chroot) return;
    mounts.emplace();
    traits = detect_host_traits();
    traits.device_control = placer.controls_devices();
    if (configuration.layers_in_place) traits.layers_by_fsconfig = false;
    if (configuration.mode == Mode::root) confine::load_default_profile(traits.labels, exit_code_of);
  }

  CgroupPlacer placer;
  FilterCache filters;
  std::optional<MountTemplate> mounts;
  setup::HostTraits traits;
};

struct RunningChild {
  std::uint64_t id = 0;
  UniqueFd report;
  std::vector<setup::Operation> operations;  ///< to name the one that failed
  CgroupPlacer::Placement placement;
};

/// strerror as Go writes it, because these texts stand in logs with those of runc.
std::string lower_error(int error) {
  std::string text = std::strerror(error);
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

std::string exec_failure_text(const setup::Report& report, const std::string& program) {
  const std::string reason = lower_error(-report.error);
  switch (report.exec_failure) {
    case setup::ExecFailure::not_in_path:
      return cat("exec: ", go_quote(program), ": executable file not found in $PATH");
    case setup::ExecFailure::not_found:
      return cat("exec: ", go_quote(program), ": stat ", program, ": ", reason);
    case setup::ExecFailure::not_executable:
      return cat("exec: ", go_quote(program), ": ", reason);
    default:
      return cat("exec ", report.message, ": ", reason);
  }
}

std::string failure_text(const setup::Report& report, const std::vector<setup::Operation>& operations, Mode mode) {
  if (report.operation >= operations.size()) return "the sandbox process sent nonsense";
  const setup::Operation& operation = operations[report.operation];
  if (report.exec_failure != setup::ExecFailure::none)
    return exec_failure_text(report, std::get<setup::Execute>(operation).argv[0]);
  std::string text = cat(setup::describe(operation), ": ", std::strerror(-report.error));
  if (report.message[0] != '\0') text += cat(" (", report.message, ")");
  const bool about_ids =
      std::holds_alternative<setup::SetIds>(operation) || std::holds_alternative<setup::EnterDirectory>(operation);
  if (about_ids && report.error == -EINVAL && mode != Mode::root)
    text += "; this id is not mapped: give this user ranges in /etc/subuid and /etc/subgid";
  return text;
}

SetupFault fault_of(int error) {
  return error == ENOSPC || error == EDQUOT ? SetupFault::disk_full : SetupFault::machine;
}

SetupFault fault_of(const setup::Report& report, const std::vector<setup::Operation>& operations) {
  const SetupFault fault = fault_of(-report.error);
  if (fault != SetupFault::machine || report.operation >= operations.size()) return fault;
  if (std::holds_alternative<setup::EnterDirectory>(operations[report.operation])) return SetupFault::working_directory;
  const bool is_unmapped =
      -report.error == EINVAL && std::holds_alternative<setup::SetIds>(operations[report.operation]);
  return is_unmapped ? SetupFault::user : fault;
}

std::int64_t nanoseconds(const timeval& time) { return (time.tv_sec * 1'000'000LL + time.tv_usec) * 1000; }

/// Of the command and of all that it, as the first process of its namespace, has waited for.
ResourceUse use_of(const rusage& usage) {
  constexpr std::uint64_t kBlock = 512;
  ResourceUse use;
  use.user_ns = nanoseconds(usage.ru_utime);
  use.system_ns = nanoseconds(usage.ru_stime);
  use.peak_memory_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  use.read_bytes = static_cast<std::uint64_t>(usage.ru_inblock) * kBlock;
  use.written_bytes = static_cast<std::uint64_t>(usage.ru_oublock) * kBlock;
  return use;
}

bool has_subreaper(Mode mode) { return mode == Mode::masked_proc || mode == Mode::chroot; }

void send_signal(pid_t pid, int number, Mode mode) {
  ::kill(pid, has_subreaper(mode) && number == SIGKILL ? SIGUSR1 : number);
}

class ZygoteProcess {
 public:
  ZygoteProcess(PacketSocket socket, const rlimit& open_files)
      : socket_(std::move(socket)), open_files_(open_files), null_(sys::open_at(AT_FDCWD, "/dev/null", O_RDWR)) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_SETMASK, &set, nullptr);
    signals_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) throw_errno(errno, "signalfd");
  }

  void run() {
    try {
      while (!terminated_ && serve()) {
      }
    } catch (const std::exception&) {
      // The builder is gone in the middle of a message: the same end.
    }
    kill_everything();
  }

 private:
  bool serve();
  void handle(Packet packet);
  void open_workshop();
  void start(wire::Run request, const std::vector<UniqueFd>& descriptors);
  void clone_child(const wire::Run& request, setup::OperationList plan, const std::vector<UniqueFd>& descriptors,
                   CgroupPlacer::Placement& placement);
  void signal(const wire::Signal& request);
  void reap();
  void ended(RunningChild child, int status, const rusage& usage);
  void kill_everything();

  PacketSocket socket_;
  const rlimit open_files_;
  const UniqueFd null_;
  UniqueFd signals_;
  wire::Configure configuration_;
  std::optional<Workshop> workshop_;
  std::optional<Error> workshop_error_;
  std::map<pid_t, RunningChild> running_;
  bool terminated_ = false;
};

bool ZygoteProcess::serve() {
  pollfd polled[2] = {{socket_.fd(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
  if (::poll(polled, 2, -1) < 0) return errno == EINTR;
  if (polled[1].revents != 0) reap();
  if (polled[0].revents == 0) return true;
  auto packet = socket_.receive();
  if (!packet) return false;
  handle(std::move(*packet));
  return true;
}

void ZygoteProcess::handle(Packet packet) {
  // Stdout and stderr of a step travel before the descriptors of its spec.
  wire::Request request = wire::decode_request(packet.data, packet.descriptors);
  if (auto* configure = std::get_if<wire::Configure>(&request))
    configuration_ = *configure;
  else if (auto* run = std::get_if<wire::Run>(&request))
    start(std::move(*run), packet.descriptors);
  else
    signal(std::get<wire::Signal>(request));
}

void ZygoteProcess::open_workshop() {
  if (workshop_) return;
  // Half of it cannot be made twice, so the first error stands for all steps.
  if (workshop_error_) throw *workshop_error_;
  try {
    if (!has_subreaper(configuration_.mode)) enter_pid_namespace();
    workshop_.emplace(configuration_);
  } catch (const Error& error) {
    workshop_error_ = error;
    throw;
  }
}

void ZygoteProcess::start(wire::Run request, const std::vector<UniqueFd>& descriptors) {
  CgroupPlacer::Placement placement;
  try {
    open_workshop();
    setup::HostTraits traits = workshop_->traits;
    placement = workshop_->placer.place(request.spec, request.id);
    traits.cgroup_procs = placement.procs_fds;
    if (request.spec.insecure && configuration_.mode == Mode::root) traits.loop_devices = count_loop_devices();
    LayerBase base;
    const bool has_layers = !request.spec.lower_fds.empty() || request.spec.skeleton_fd >= 0;
    if (!traits.layers_by_fsconfig && has_layers && configuration_.mode != Mode::chroot) {
      base = find_layer_base(request.spec.upper_fd, request.spec.work_fd);
      traits.layer_base = base.fd.get();
      traits.upper_name = base.upper_name;
      traits.work_name = base.work_name;
    }
    setup::OperationList plan = setup::make_plan(request.spec, configuration_.mode, traits);
    clone_child(request, std::move(plan), descriptors, placement);
  } catch (const std::exception& error) {
    if (ResourceUse unused; workshop_) workshop_->placer.release(std::move(placement), unused);
    wire::Ended reply;
    reply.id = request.id;
    reply.wait_status = kZygoteSetupFailed << 8;
    reply.failure = error.what();
    const auto* known = dynamic_cast<const Error*>(&error);
    const int error_number = known != nullptr ? known->sys_errno() : 0;
    if (const std::string hint = limit_hint(error_number); !hint.empty()) reply.failure += cat("; ", hint);
    reply.fault = fault_of(error_number);
    socket_.send(wire::encode(reply));
  }
}

void ZygoteProcess::clone_child(const wire::Run& request, setup::OperationList plan,
                                const std::vector<UniqueFd>& descriptors, CgroupPlacer::Placement& placement) {
  int report[2];
  if (::pipe2(report, O_CLOEXEC | O_NONBLOCK) != 0) throw_errno(errno, "pipe");
  UniqueFd report_read(report[0]), report_write(report[1]);
  setup::Child child(plan);
  child.stdin_fd = null_.get();
  child.stdout_fd = descriptors.at(0).get();
  child.stderr_fd = descriptors.at(1).get();
  child.report_fd = report_write.get();
  child.mount_template = workshop_->mounts ? workshop_->mounts->fd() : -1;
  child.filter = workshop_->filters.program_for(request.spec.security);
  child.open_files = open_files_;
  const std::string scratch =
      request.spec.bundle.empty() ? MountTemplate::kScratch : cat(request.spec.bundle, "/scratch");
  child.scratch = scratch.c_str();
  const long pid = kernel::clone_process(has_subreaper(configuration_.mode) ? 0 : plan.namespaces, placement.cgroup_fd);
  if (pid == 0) {
    if (has_subreaper(configuration_.mode)) run_as_subreaper(child);
    setup::run_setup(child);
  }
  if (pid < 0) throw_errno(static_cast<int>(-pid), "clone a process in new namespaces");
  running_.emplace(static_cast<pid_t>(pid),
                   RunningChild{request.id, std::move(report_read), std::move(plan.operations), std::move(placement)});
}

void ZygoteProcess::signal(const wire::Signal& request) {
  for (const auto& [pid, child] : running_)
    if (child.id == request.id) send_signal(pid, request.number, configuration_.mode);
}

void ZygoteProcess::reap() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) terminated_ |= info.ssi_signo == SIGTERM;
  int status = 0;
  rusage usage{};
  for (pid_t pid = 0; (pid = ::wait4(-1, &status, WNOHANG, &usage)) > 0;) {
    auto found = running_.extract(pid);
    if (found) ended(std::move(found.mapped()), status, usage);
  }
}

void ZygoteProcess::ended(RunningChild child, int status, const rusage& usage) {
  wire::Ended reply;
  reply.id = child.id;
  reply.wait_status = status;
  reply.use = use_of(usage);
  setup::Report report;
  // The writer is dead: its message is in the pipe.
  if (::read(child.report.get(), &report, sizeof report) == sizeof report) {
    reply.exec_failure = report.exec_failure;
    reply.failure = failure_text(report, child.operations, configuration_.mode);
    reply.fault = fault_of(report, child.operations);
  }
  const bool killed = WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 128 + SIGKILL;
  // A count that others may have raised counts only for a step that was killed.
  const bool counted_alone = child.placement.counts_own_kills;
  reply.use.oom_killed = workshop_->placer.release(std::move(child.placement), reply.use) && (killed || counted_alone);
  socket_.send(wire::encode(reply));
}

void ZygoteProcess::kill_everything() {
  for (const auto& [pid, child] : running_) send_signal(pid, SIGKILL, configuration_.mode);
  const std::int64_t until = sys::monotonic_ns() + 2'000'000'000;
  while (!running_.empty() && sys::monotonic_ns() < until) {
    pollfd polled{signals_.get(), POLLIN, 0};
    ::poll(&polled, 1, 100);
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    }
    for (pid_t pid = 0; (pid = ::waitpid(-1, nullptr, WNOHANG)) > 0;) {
      auto found = running_.extract(pid);
      if (ResourceUse unused; found) workshop_->placer.release(std::move(found.mapped().placement), unused);
    }
  }
}

}  // namespace

void run_zygote(PacketSocket socket, const rlimit& open_files) { ZygoteProcess(std::move(socket), open_files).run(); }

}  // namespace cbuild::sandbox
