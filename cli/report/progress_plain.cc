// SPDX-License-Identifier: Apache-2.0
// The progress view for logs and pipes, in the form of buildx's plain progress: a line for each event, with the number
// of its step. Output comes in pieces of any size, so lines are assembled for each step and stream, and the rest is
// shown when the step ends. Where lines of another step were in between, the name of the step is repeated.
#include "cli/report/progress_plain.h"

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/report/progress_views.h"
#include "cli/report/use_text.h"
#include "frontend/syntax/check.h"

namespace cbuild::cli {
namespace {

/// Text of this size without a line end is shown as a line, so that a stream without any takes no memory.
constexpr std::size_t kLongLine = 64u << 10;
constexpr std::uint64_t kCounterStep = 32u << 20;  // a log wants a line now and then, not each block

std::string log_seconds(std::int64_t ns) {
  const std::int64_t ms = ns / 1'000'000;
  std::string fraction = std::to_string(ms % 1000);
  return cat(ms / 1000, '.', std::string(3 - fraction.size(), '0'), fraction);
}

std::string_view level(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "ERROR";
    case Severity::warning:
      return "WARN";
    case Severity::note:
      return "NOTE";
  }
  return "";
}

}  // namespace

PlainProgress::PlainProgress(int fd) : fd_(fd), start_ns_(sys::monotonic_ns()) {}

PlainProgress::~PlainProgress() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, task] : tasks_) flush_partial(task);
}

void PlainProgress::on_event(const ProgressEvent& event) {
  const std::lock_guard lock(mutex_);
  std::visit([this](const auto& e) { handle(e); }, event);
}

void PlainProgress::write(std::string_view text) {
  try {
    sys::write_all(fd_, text);
  } catch (const Error&) {
    // Nobody reads any more; the build goes on.
  }
}

void PlainProgress::line(const Task& task, std::string_view text) {
  std::string out;
  if (last_ != nullptr && last_ != &task) out += '\n';
  if (last_ != &task) out += cat('#', task.number, ' ', display_name(task.name, 0), '\n');
  last_ = &task;
  if (!text.empty()) out += cat('#', task.number, ' ', text, '\n');
  write(out);
}

PlainProgress::Task& PlainProgress::begun(TaskId id) {
  Task& task = tasks_[id];
  if (task.number == 0) task.number = next_number_++;
  return task;
}

void PlainProgress::handle(const TaskAdded& event) { tasks_[event.id].name = event.name; }

void PlainProgress::handle(const TaskStarted& event) {
  Task& task = begun(event.id);
  task.started_ns = event.time_ns;
  line(task, event.note.empty() ? std::string() : cat("runs because: ", sanitize_for_terminal(event.note)));
}

void PlainProgress::handle(const TaskFinished& event) {
  Task& task = begun(event.id);
  flush_partial(task);
  const std::string took = format_seconds(event.time_ns - task.started_ns);
  switch (event.state) {
    case TaskState::ok:
      return line(task, cat("DONE ", took, task.use.empty() ? "" : cat(" (", task.use, ")")));
    case TaskState::cached:
      return line(task, "CACHED");
    case TaskState::failed:
      return line(task, cat("ERROR: ", sanitize_for_terminal(event.error)));
    case TaskState::cancelled:
      return line(task, "CANCELED");
  }
}

void PlainProgress::handle(const TaskLog& event) {
  Task& task = begun(event.id);
  std::string& partial = task.partial[static_cast<std::size_t>(event.stream)];
  partial += event.data;
  const std::string stamp = log_seconds(event.time_ns - task.started_ns);
  std::size_t begin = 0;
  for (std::size_t end = partial.find('\n'); end != std::string::npos; end = partial.find('\n', begin)) {
    line(task, cat(stamp, ' ', sanitize_for_terminal(partial.substr(begin, end - begin))));
    begin = end + 1;
  }
  partial.erase(0, begin);
  if (partial.size() < kLongLine) return;
  line(task, cat(stamp, ' ', sanitize_for_terminal(partial)));
  partial.clear();
}

void PlainProgress::flush_partial(Task& task) {
  for (std::string& partial : task.partial) {
    if (!partial.empty()) line(task, sanitize_for_terminal(partial));
    partial.clear();
  }
}

void PlainProgress::handle(const TaskCounter& event) {
  Task& task = begun(event.id);
  std::uint64_t& shown = task.shown[event.item];
  const bool due = event.bytes && event.current >= shown + kCounterStep;
  if (!(event.done && shown != event.current + 1) && !due) return;
  shown = event.done ? event.current + 1 : event.current;  // + 1: the end is printed once, also for empty things
  const std::string total = event.total == 0 ? std::string() : cat(" / ", format_size(event.total));
  line(task,
       cat(event.item, ' ', format_size(event.current), event.done ? std::string() : total, event.done ? " done" : ""));
}

void PlainProgress::handle(const TaskUse& event) { tasks_[event.id].use = use_text(event.use); }

void PlainProgress::handle(const RunNote& event) {
  last_ = nullptr;
  write(cat(level(event.severity), ": ", sanitize_for_terminal(event.text), '\n'));
}

void PlainProgress::handle(const RunDiagnostic& event) {
  last_ = nullptr;
  const Diagnostic& diagnostic = event.diagnostic;
  write(diagnostic.rule.empty() ? render(diagnostic) : cat("warning: ", frontend::finding_line(diagnostic), '\n'));
}

}  // namespace cbuild::cli
