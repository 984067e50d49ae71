// SPDX-License-Identifier: Apache-2.0
#include "cli/report/progress_views.h"

#include <unistd.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/report/progress_plain.h"
#include "cli/report/progress_solve_status.h"
#include "cli/report/progress_tty.h"
#include "cli/report/use_text.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string_view name_of(TaskState state) {
  switch (state) {
    case TaskState::ok:
      return "ok";
    case TaskState::cached:
      return "cached";
    case TaskState::failed:
      return "failed";
    case TaskState::cancelled:
      return "cancelled";
  }
  return "";
}

Json event_json(const TaskAdded& e) { return {{"event", "added"}, {"id", e.id}, {"name", e.name}}; }
Json event_json(const TaskStarted& e) {
  return {{"event", "started"}, {"id", e.id}, {"time_ns", e.time_ns}, {"note", e.note}};
}
Json event_json(const TaskFinished& e) {
  return {{"event", "finished"}, {"id", e.id}, {"time_ns", e.time_ns}, {"state", name_of(e.state)}, {"error", e.error}};
}
Json event_json(const TaskLog& e) {
  return {{"event", "log"},
          {"id", e.id},
          {"time_ns", e.time_ns},
          {"stream", static_cast<int>(e.stream)},
          {"data", std::string(e.data)}};
}
Json event_json(const TaskCounter& e) {
  return {{"event", "counter"},   {"id", e.id},       {"item", e.item},
          {"current", e.current}, {"total", e.total}, {"done", e.done}};
}
Json event_json(const TaskUse& e) {
  Json json = {{"event", "use"}, {"id", e.id}};
  json.update(use_json(e.use));
  return json;
}
Json event_json(const RunNote& e) { return {{"event", "note"}, {"text", e.text}}; }
Json event_json(const RunDiagnostic& e) {
  Json json = {{"event", "diagnostic"}, {"message", e.diagnostic.message}, {"rule", e.diagnostic.rule}};
  const Span& span = e.diagnostic.span;
  if (!span) return json;
  json["file"] = span.source->name();
  json["line"] = span.source->position(span.begin).line;
  return json;
}

/// One JSON object a line; the schema is in docs/cli.md.
class JsonLines final : public ProgressSink {
 public:
  explicit JsonLines(int fd) : fd_(fd) {}
  void on_event(const ProgressEvent& event) override {
    const Json json = std::visit([](const auto& e) { return event_json(e); }, event);
    const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    const std::lock_guard lock(mutex_);
    try {
      sys::write_all(fd_, line);
    } catch (const Error&) {
      // Nobody reads any more; the build goes on.
    }
  }

 private:
  const int fd_;
  std::mutex mutex_;
};

}  // namespace

std::string display_name(const std::string& name, std::size_t width) {
  std::string safe = sanitize_for_terminal(name);
  for (char& c : safe)
    if (c == '\n' || c == '\t') c = ' ';
  if (width != 0 && safe.size() > width) safe = cat(safe.substr(0, width - 3), "...");
  return safe;
}

std::unique_ptr<ProgressSink> make_progress_view(ProgressMode mode, int fd) {
  if (mode == ProgressMode::automatic) mode = isatty(fd) ? ProgressMode::tty : ProgressMode::plain;
  switch (mode) {
    case ProgressMode::tty:
      return std::make_unique<TtyProgress>(fd);
    case ProgressMode::quiet:
      return std::make_unique<NullProgress>();
    case ProgressMode::rawjson:
      return std::make_unique<SolveStatusLines>(fd);
    case ProgressMode::events:
      return std::make_unique<JsonLines>(fd);
    case ProgressMode::automatic:
    case ProgressMode::plain:
      break;
  }
  return std::make_unique<PlainProgress>(fd);
}

}  // namespace cbuild::cli
