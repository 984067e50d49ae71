// SPDX-License-Identifier: Apache-2.0
//
// The life of one RUN: an attempt by the backend, wait without holding a thread, another attempt or a failure in words,
// else the layer of the command's changes. Its identity is computed here from the changes alone, so it is the same
// however the command was run.
#include "solver/ops/exec_step.h"

#include <fcntl.h>

#include <algorithm>
#include <csignal>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/step_layer.h"
#include "cache/unpacker.h"
#include "solver/ops/command_output.h"
#include "solver/ops/layer_identity.h"

namespace cbuild::solver::ops {
namespace {

constexpr std::uint64_t kIdentityMaxBytes = 32u << 20, kIdentityMaxEntries = 4096;
constexpr auto kGrace = std::chrono::milliseconds(2000);

/// A full disk is for the user to free; a directory that cannot be entered and an unknown user are mistakes of the
/// Dockerfile.
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

/// As the flag that limits it takes it: "512m".
std::string size_of_limit(std::int64_t bytes) {
  constexpr std::pair<int, char> kUnits[] = {{30, 'g'}, {20, 'm'}, {10, 'k'}};
  for (const auto& [shift, unit] : kUnits)
    if (bytes % (std::int64_t{1} << shift) == 0) return cat(bytes >> shift, unit);
  return cat(bytes, "b");
}

std::string how_it_ended(const ExecSettings& settings, const ExecEnd& end) {
  const sandbox::Exit& exit = end.exit;
  if (exit.timed_out) return cat("stopped after its time limit of ", format_go_duration(settings.timeout_ns));
  const std::string text = cat("exit code: ", exit.code);
  if (!exit.use.oom_killed) return text;
  const std::string limit = end.memory_limit_bytes > 0 ? cat(", limit ", size_of_limit(end.memory_limit_bytes)) : "";
  return cat(text, exit.code == 128 + SIGKILL ? " (" : " (a process of it was ", "killed: out of memory", limit, ")");
}

/// Attempts come one after the other.
void add_use(ResourceUse& sum, const ResourceUse& use) {
  sum.user_ns += use.user_ns;
  sum.system_ns += use.system_ns;
  sum.peak_memory_bytes = std::max(sum.peak_memory_bytes, use.peak_memory_bytes);
  sum.read_bytes += use.read_bytes;
  sum.written_bytes += use.written_bytes;
  sum.oom_killed |= use.oom_killed;
}

/// The result of a command says by its identity what the kept mounts hold, so that readers of an output see whether it
/// changed.
void add_kept(const std::vector<KeptMount>& mounts, const ExecuteRequest& request, const RunTimes& times,
              CanonicalWriter& identity) {
  for (const KeptMount& kept : mounts) {
    const RunTimes own{times.began_ns, times.ended_ns};
    const auto content = layer_identity(kept.tree.tree_fd(), own, kIdentityMaxBytes, kIdentityMaxEntries);
    identity.tag('k').text(kept.target);
    if (content)
      identity.digest(*content);
    else
      identity.digest(request.key).number(static_cast<std::uint64_t>(sys::now_ns())).number(request.id);
  }
}

}  // namespace

ExecStep::ExecStep(const ExecServices& services, const ExecuteRequest& request, Completion done)
    : services_(services),
      request_(request),
      settings_(request.vertex->settings),
      done_(std::move(done)),
      log_(
          services.log_limits, sys::monotonic_ns(),
          [this] { return sys::open_at(services_.logs.directory(), log_name(), O_WRONLY | O_CREAT | O_APPEND, 0600); },
          [this](LogStream stream, std::string_view data) {
            services_.context.services.progress.on_event(TaskLog{request_.id, sys::monotonic_ns(), stream, data});
          },
          services.masked) {}

ExecStep::~ExecStep() = default;

void ExecStep::start() {
  try {
    launch();
  } catch (Error& error) {
    fail(error, 0);
  } catch (const std::exception& error) {
    fail(Error(ErrorCode::internal, error.what()), 0);
  }
}

void ExecStep::launch() {
  unsigned attempt = 0;
  {
    // A further attempt may have been on its way when the build was stopped.
    const std::lock_guard lock(mutex_);
    if (stopped_) throw Error(ErrorCode::cancelled, "cancelled");
    attempt = ++attempts_;
    runs_ = true;
  }
  spent_.began_ns = sys::now_ns();
  auto self = shared_from_this();
  auto running = services_.backend.start(
      request_, {.output = [self](LogStream stream, std::string_view data) { self->on_output(stream, data); },
                 .done = [self](ExecEnd end) { self->finish(std::move(end)); }});
  // The attempt may be over already, and the next one may have begun.
  const std::lock_guard lock(mutex_);
  if (attempts_ != attempt || !runs_) return;
  running_ = std::move(running);
  if (stopped_) running_->stop(kGrace);
}

void ExecStep::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  if (running_) running_->stop(kGrace);
}

bool ExecStep::is_failure(const sandbox::Exit& exit) const {
  return !did_well(std::get<ExecOp>(request_.vertex->op), exit.code) || !exit.setup_error.empty() || exit.timed_out;
}

std::string ExecStep::log_name() const { return cat(request_.id, ".log"); }

void ExecStep::on_output(LogStream stream, std::string_view data) { log_.write(stream, data, sys::monotonic_ns()); }

void ExecStep::finish(ExecEnd end) {
  std::shared_ptr<sandbox::RunningStep> ended;  // it holds our callbacks, which hold us
  {
    const std::lock_guard lock(mutex_);
    runs_ = false;
    ended = std::move(running_);
  }
  changes_ = std::move(end.changes);
  kept_ = std::move(end.kept);
  log_.end_attempt();
  add_use(spent_.use, end.exit.use);
  try {
    if (try_again(end)) return;
    if (services_.on_use && end.exit.setup_error.empty()) services_.on_use(request_.id, spent_.use);
    if (end.exit.cancelled || is_failure(end.exit)) {
      const bool ran = !end.exit.cancelled && end.exit.setup_error.empty();
      if (ran && changes_ && services_.keep_failed) services_.keep_failed(request_, *std::exchange(changes_, {}));
      return fail(failure_of(end), end.exit.code);
    }
    log_.close();
    const Result result = publish();
    std::exchange(done_, nullptr)(result);
    cache::remove_leftovers(services_.context.services.store);
  } catch (Error& error) {
    fail(error, 0);
  } catch (const std::exception& error) {
    fail(Error(ErrorCode::internal, error.what()), 0);
  }
}

/// Each attempt begins from the base.
bool ExecStep::try_again(const ExecEnd& end) {
  const bool failed = is_failure(end.exit);
  if (!(failed && attempts_ <= settings_.retries && !end.exit.cancelled && end.exit.setup_error.empty())) return false;
  on_output(LogStream::err, cat("[cbuild] ", how_it_ended(settings_, end), "; try ", attempts_ + 1, " of ",
                                settings_.retries + 1, "\n"));
  changes_.reset();
  kept_.clear();
  services_.context.pool.post([self = shared_from_this()] { self->start(); });
  return true;
}

Error ExecStep::failure_of(const ExecEnd& end) const {
  if (end.exit.cancelled) return {ErrorCode::cancelled, "cancelled"};
  if (!end.exit.setup_error.empty()) return setup_failure(end.exit);
  const auto& op = std::get<ExecOp>(request_.vertex->op);
  std::string text =
      cat("process ", go_quote(join(op.argv, " ")), " did not complete successfully: ", how_it_ended(settings_, end));
  if (settings_.retries > 0) text += cat(", ", settings_.retries + 1, " tries");
  return Error(ErrorCode::step_failed, text).with_hint(end.hint);
}

/// Each becomes a layer of its own, which OutputOps find by the command's result.
void ExecStep::publish_kept(const Result& command) {
  for (KeptMount& kept : kept_) {
    const Digest identity = CanonicalWriter().tag('o').text(kept.target).digest(command.identity).hash();
    const Result result = services_.context.add_layer({}, std::move(kept.tree), identity,
                                                      cat(request_.vertex->name, " -> ", kept.target));
    set_command_output(services_.context.services.store, command, kept.target, result);
  }
  kept_.clear();
}

Result ExecStep::publish() {
  CBUILD_CHECK(changes_.has_value());
  const Result& root = request_.inputs.at(0);
  CanonicalWriter identity;
  std::optional<cache::TreeView> base;
  const RunTimes times{spent_.began_ns, sys::now_ns(), [&]() -> const cache::TreeView* {
                         if (root.id.empty()) return nullptr;
                         if (!base) base.emplace(cache::open_view(services_.context.services.store, root.id));
                         return &*base;
                       }};
  const auto changes = layer_identity(changes_->tree_fd(), times, kIdentityMaxBytes, kIdentityMaxEntries);
  identity.tag('r').digest(root.identity);
  if (changes)
    identity.digest(*changes);
  else  // too large to be worth hashing: unique to this run
    identity.digest(request_.key).number(static_cast<std::uint64_t>(sys::now_ns())).number(request_.id);
  add_kept(kept_, request_, times, identity);
  const Result result =
      services_.context.add_layer(root.id, std::move(*changes_), identity.hash(), request_.vertex->name);
  publish_kept(result);
  return result;
}

void ExecStep::fail(Error error, int exit_code) {
  changes_.reset();
  kept_.clear();
  log_.close();
  const std::string log = log_.is_kept() ? cat(services_.logs.path(), "/", log_name()) : std::string();
  std::exchange(done_, nullptr)(StepFailure{std::move(error), exit_code, log});
}

}  // namespace cbuild::solver::ops
